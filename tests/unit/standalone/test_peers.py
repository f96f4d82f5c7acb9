import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broker.forwarding import Client
from standalone.peers import FIELDS, Field, Peers, parse_ip
from wire.headers import Headers

LOAD_BALANCER = Client("10.0.0.1", "http")
STRANGER = Client("203.0.113.9", "https")
X_FIELDS = FIELDS[:3]


def peers(*networks: str, unix: bool = False, fields: tuple[Field, ...] = X_FIELDS) -> Peers:
    return Peers(map(ipaddress.ip_network, networks or ("10.0.0.0/8",)), trusts_unix=unix, fields=fields)


def client(*fields: tuple[str, str], peer: Client = LOAD_BALANCER, of: Peers | None = None) -> tuple[str, str, str]:
    found = (of or peers()).client_of(peer, Headers(fields))
    return found.address, found.scheme, found.host


def for_of(*values: str, of: Peers | None = None) -> str:
    return client(*(("X-Forwarded-For", value) for value in values), of=of)[0]


def forwarded(*values: str, peer: Client = LOAD_BALANCER) -> tuple[str, str, str]:
    return client(*(("Forwarded", value) for value in values), peer=peer, of=peers(fields=("Forwarded",)))


def test_nobody_is_believed_unless_trusted() -> None:
    fields = Headers(
        [
            ("X-Forwarded-For", "1.2.3.4"),
            ("X-Forwarded-Proto", "http"),
            ("X-Forwarded-Host", "x"),
            ("Forwarded", "for=x"),
        ]
    )

    assert peers().client_of(STRANGER, fields) is STRANGER
    assert Peers().client_of(LOAD_BALANCER, fields) is LOAD_BALANCER
    assert peers(fields=("Forwarded",)).client_of(STRANGER, fields) is STRANGER


@pytest.mark.parametrize(
    ("values", "address"),
    [
        (["198.51.100.7"], "198.51.100.7"),
        (["1.2.3.4, 198.51.100.7"], "198.51.100.7"),
        (["1.2.3.4", "198.51.100.7"], "198.51.100.7"),
        (["1.2.3.4,198.51.100.7 , 10.1.1.1"], "198.51.100.7"),
        (["10.2.2.2, 10.1.1.1"], "10.2.2.2"),
        (["198.51.100.7:1234"], "198.51.100.7"),
        (["[2001:db8::7]:1234"], "2001:db8::7"),
        (["2001:db8::7"], "2001:db8::7"),
        (["::ffff:198.51.100.7"], "198.51.100.7"),
        (["1.2.3.4, unknown"], "10.0.0.1"),
        (["1.2.3.4, nonsense, 10.1.1.1"], "10.1.1.1"),
        (["1.2.3.4, 999.1.1.1"], "10.0.0.1"),
        (["", " , "], "10.0.0.1"),
    ],
)
def test_the_client_is_the_last_address_that_is_not_trusted(values: list[str], address: str) -> None:
    assert for_of(*values) == address


def test_a_peer_in_a_trusted_network_is_known_in_every_spelling() -> None:
    for address in ("10.255.255.255", "::ffff:10.0.0.1"):
        assert peers().is_trusted(address)
    for address in ("11.0.0.1", "::10.0.0.1", "10.0.0", "", "unix", "nonsense"):
        assert not peers().is_trusted(address)
    assert peers("2001:db8::/32").is_trusted("2001:db8::1")


def test_the_other_side_of_a_unix_socket_is_trusted_by_its_own_word() -> None:
    unix = Client("", "http")
    field = ("X-Forwarded-For", "198.51.100.7")

    assert client(field, peer=unix, of=peers(unix=True))[0] == "198.51.100.7"
    assert client(field, peer=unix)[0] == ""


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("For", "198.51.100.7"), ("Proto", "https"), ("Host", "a.example")], ("198.51.100.7", "https", "a.example")),
        ([("Proto", "HTTPS")], ("10.0.0.1", "https", "")),
        ([("Proto", "wss")], ("10.0.0.1", "https", "")),
        ([("Proto", "gopher")], ("10.0.0.1", "http", "")),
        ([("Host", "a.example:8443")], ("10.0.0.1", "http", "a.example:8443")),
        ([("Host", "a.example/x")], ("10.0.0.1", "http", "")),
        # Who appends writes one for each address; what stands before the client's own may be forged.
        ([("For", "1.2.3.4, 198.51.100.7"), ("Proto", "https, http")], ("198.51.100.7", "http", "")),
        ([("For", "198.51.100.7, 10.1.1.1"), ("Proto", "https, http")], ("198.51.100.7", "https", "")),
        # Who does not append writes one: the nearest.
        ([("For", "1.2.3.4, 198.51.100.7"), ("Proto", "https")], ("198.51.100.7", "https", "")),
        ([("For", "198.51.100.7"), ("Proto", "http, https")], ("198.51.100.7", "https", "")),
    ],
)
def test_scheme_and_host_are_those_of_the_clients_own_connection(
    fields: list[tuple[str, str]], expected: tuple[str, str, str]
) -> None:
    assert client(*((f"X-Forwarded-{name}", value) for name, value in fields)) == expected


def test_a_field_that_trusted_peers_do_not_set_is_the_clients_word() -> None:
    only_for = peers(fields=("X-Forwarded-For",))
    told = [("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.example")]

    assert client(*told, of=only_for) == ("198.51.100.7", "http", "")
    assert client(("Forwarded", "for=1.2.3.4;proto=https")) == ("10.0.0.1", "http", "")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["for=198.51.100.7;proto=https;host=a.example"], ("198.51.100.7", "https", "a.example")),
        (['For="198.51.100.7:80" ; PROTO="https"'], ("198.51.100.7", "https", "")),
        (['for="[2001:db8::7]:80";by=x'], ("2001:db8::7", "http", "")),
        (["for=1.2.3.4;proto=https, for=198.51.100.7"], ("198.51.100.7", "http", "")),
        (["for=198.51.100.7;proto=https, for=10.1.1.1;proto=http"], ("198.51.100.7", "https", "")),
        (["for=1.2.3.4", "for=198.51.100.7"], ("198.51.100.7", "http", "")),
        (["for=_hidden;proto=https"], ("10.0.0.1", "https", "")),
        (["for=unknown"], ("10.0.0.1", "http", "")),
        (['host="a.\\e\\xample"'], ("10.0.0.1", "http", "a.example")),
        # Malformed: nothing is believed.
        (['for=";for=198.51.100.7'], ("10.0.0.1", "http", "")),
        (["for=198.51.100.7 proto=https"], ("10.0.0.1", "http", "")),
        (["for = 198.51.100.7"], ("10.0.0.1", "http", "")),
        (["198.51.100.7"], ("10.0.0.1", "http", "")),
        ([""], ("10.0.0.1", "http", "")),
    ],
)
def test_forwarded_says_the_same_in_one_field(values: list[str], expected: tuple[str, str, str]) -> None:
    assert forwarded(*values) == expected


@given(st.lists(st.text(alphabet='for=proto;host, "\\\t10.:[]_a', max_size=60), max_size=3))
@example(['for="' + "\\\\" * 50])
def test_whatever_fields_say_the_client_is_an_address(values: list[str]) -> None:
    for found in (forwarded(*values), client(*(("X-Forwarded-For", value) for value in values))):
        assert parse_ip(found[0]) is not None
        assert found[1] in ("http", "https")


@given(st.lists(st.ip_addresses(), max_size=5), st.ip_addresses().filter(lambda ip: str(ip) != "10.0.0.1"))
def test_what_a_client_writes_itself_changes_nothing(forged: list[object], address: object) -> None:
    trusted = peers("10.0.0.1/32")

    assert for_of(", ".join(map(str, [*forged, address])), of=trusted) == for_of(str(address), of=trusted)


@given(st.integers(0, 50_000))
def test_long_fields_are_read_in_linear_time(length: int) -> None:
    assert forwarded('for="' + "a" * length)[0] == "10.0.0.1"
    assert for_of(", ".join(["10.0.0.2"] * (length // 10)))
