"""From the head of a user's request to a queued exchange."""

from collections.abc import Container, Sequence

import pytest

from broker.errors import BackendOffline, UnknownBackend
from broker.forwarding import Client
from broker.intake import Intake, admit_request, too_large
from broker.model import Backend, State
from broker.policy import Policy
from stores.memory.store import MemoryStore
from tests.factories import BACKEND, REQUEST, a_backend
from tests.fakes.clock import NOON, FakeClock
from wire.errors import MalformedMessage, MessageTooLarge, WireError
from wire.headers import Headers
from wire.http1 import CHUNKED, RequestHead
from wire.protocol import MAX_HEAD_BYTES

POLICY = Policy(max_body_bytes=1000)
USER = "user@example.com"
CLIENT = Client(address="192.0.2.7", scheme="https")
HOST = ("Host", "example.com")
GET = RequestHead("GET", "/a?b", Headers([HOST]), None)


def store_with(*backends: Backend, polled: bool = True) -> MemoryStore:
    store = MemoryStore(POLICY)
    for backend in backends:
        store.put_backend(backend)
        store.touch_backend(backend.backend_id, polled=NOON if polled else None)
    return store


def admit(
    head: RequestHead,
    *,
    store: MemoryStore | None = None,
    user: str = USER,
    client: Client = CLIENT,
    named: Container[str] = (),
) -> Intake:
    return admit_request(
        store or store_with(a_backend()),
        FakeClock(),
        POLICY,
        head,
        end_user=user,
        client=client,
        new_id=lambda: REQUEST,
        named=named,
    )


def get_with(*fields: tuple[str, str]) -> RequestHead:
    return RequestHead("GET", "/", Headers([HOST, *fields]), None)


def test_an_admitted_request_is_an_exchange_in_the_queue_of_its_backend() -> None:
    exchange = admit(RequestHead("PURGE", "/", Headers([HOST]), None)).exchange

    assert (exchange.request_id, exchange.backend_id, exchange.end_user) == (REQUEST, BACKEND, USER)
    assert (exchange.method, exchange.state) == ("PURGE", State.QUEUED)
    assert (exchange.started, exchange.expires) == (NOON, NOON + POLICY.exchange_ttl)


def test_its_head_is_what_the_backend_shall_see() -> None:
    head = RequestHead("POST", "/a?b", Headers([HOST, ("Connection", "close"), ("X-Appengine-User-ID", "0")]), CHUNKED)

    assert admit(head).head == (
        b"POST /a?b HTTP/1.1\r\nHost: example.com\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n"
        b"X-Forwarded-Host: example.com\r\nTransfer-Encoding: chunked\r\n\r\n"
    )


def test_nothing_is_queued_yet_but_the_use_is_noted() -> None:
    store = store_with(a_backend())

    admit(GET, store=store)

    assert store.claim_pending(BACKEND, agent_id="", now=NOON) == []
    assert store.get_statuses([BACKEND])[BACKEND].last_used == NOON


@pytest.mark.parametrize(("user", "chosen"), [(USER, "own"), ("other@example.com", "shared"), ("", "shared")])
def test_the_backend_is_chosen_for_the_user(user: str, chosen: str) -> None:
    store = store_with(a_backend("shared"), a_backend("own", end_user=USER))

    assert admit(GET, store=store, user=user).exchange.backend_id == chosen


def test_the_backend_is_chosen_by_the_raw_path() -> None:
    store = store_with(a_backend("root"), a_backend("a", path_prefixes=("/a",)))
    targets = ["/a?x=/b", "/b?x=/a", "/a/%2e%2e/b", "http://example.com/a"]

    chosen = [
        admit(RequestHead("GET", target, GET.headers, None), store=store).exchange.backend_id for target in targets
    ]

    assert chosen == ["a", "root", "root", "a"]


@pytest.mark.parametrize(
    ("target", "host", "chosen"),
    [
        ("/", "App.Example.org:8080", "app"),
        ("/", "other.example.org.", "any"),
        ("http://app.example.org/", "other.example.org", "app"),
        ("http://other.example.org?x", "app.example.org", "any"),
        ("/", "", "any"),
    ],
)
def test_the_backend_is_chosen_by_the_host_as_its_backend_will_see_it(target: str, host: str, chosen: str) -> None:
    store = store_with(a_backend("any"), a_backend("app", hosts=("app.example.org",)))

    admitted = admit(RequestHead("GET", target, Headers([("Host", host)]), None), store=store)

    assert admitted.exchange.backend_id == chosen


def test_the_host_that_a_proxy_in_front_was_asked_for_counts_before_the_one_it_asks_for() -> None:
    store = store_with(a_backend("any"), a_backend("app", hosts=("app.example.org",)))
    client = Client(address="192.0.2.7", scheme="https", host="App.example.org:443")

    assert admit(GET, store=store, client=client).exchange.backend_id == "app"


def test_at_a_host_that_a_backend_names_for_somebody_else_there_is_nothing_to_serve() -> None:
    store = store_with(a_backend("any"), a_backend("app", end_user="other@example.com", hosts=("*.example.org",)))
    asked = RequestHead("GET", "/", Headers([("Host", "App.example.org:8080")]), None)

    assert admit(asked, store=store).exchange.backend_id == "any"
    with pytest.raises(UnknownBackend, match="^no backend is registered for this user, host and path$"):
        admit(asked, store=store, named=store.named_hosts)


def test_no_backend_at_all_is_unknown() -> None:
    with pytest.raises(UnknownBackend, match="^no backend is registered for this user, host and path$"):
        admit(GET, store=store_with(a_backend(end_user="other@example.com")))


def test_a_backend_without_an_agent_is_offline() -> None:
    with pytest.raises(BackendOffline, match="^no agent is connected for: notebook$"):
        admit(GET, store=store_with(a_backend(), polled=False))


@pytest.mark.parametrize("length", [None, 0, 1000, CHUNKED])
def test_a_body_up_to_the_limit_or_of_unknown_length_is_let_in(length: int | None) -> None:
    assert admit(RequestHead("POST", "/", Headers([HOST]), length)).exchange.method == "POST"


def test_an_announced_body_over_the_limit_is_refused_before_anything_else() -> None:
    with pytest.raises(MessageTooLarge, match="^request body over the limit of 1000 bytes$") as caught:
        admit(RequestHead("POST", "/", Headers(), 1001), store=store_with())

    assert caught.value.status_hint == 413


def test_the_error_for_a_body_that_grows_over_the_limit_names_it() -> None:
    assert str(too_large(Policy())) == "request body over the limit of 32000000 bytes"


def test_a_head_that_grows_over_the_limit_on_its_way_is_refused() -> None:
    filler = "a" * (MAX_HEAD_BYTES - 60)

    with pytest.raises(MessageTooLarge, match="^request head over 65536 bytes, with what the proxy adds$") as caught:
        admit(get_with(("X-Filler", filler)))

    assert caught.value.status_hint == 431


MALFORMED: Sequence[tuple[RequestHead, str]] = [
    (RequestHead("CONNECT", "/", Headers([HOST]), None), "method CONNECT: there are no tunnels here"),
    (RequestHead("GET", "/", Headers(), None), "Host: 0 of them, not one"),
    (RequestHead("GET", "/", Headers([HOST, HOST]), None), "Host: 2 of them, not one"),
    (
        RequestHead("GET", "@evil/", Headers([HOST]), None),
        "target: neither a path, nor an absolute URL, nor *; in visible ASCII",
    ),
    (RequestHead("G T", "/", Headers([HOST]), None), "method: not a token of at most 64 characters"),
    (get_with(("X-A", "a\r\nX-B: b")), "header field X-A: a forbidden character in its value"),
    (get_with(("X A", "a")), "header field name 'X A': not a token"),
]


@pytest.mark.parametrize(("head", "text"), MALFORMED)
def test_a_head_that_http_does_not_allow_is_refused_whoever_it_is_for(head: RequestHead, text: str) -> None:
    with pytest.raises(WireError) as caught:
        admit(head, store=store_with())

    assert (type(caught.value), str(caught.value), caught.value.status_hint) == (MalformedMessage, text, 400)


def test_the_host_that_a_proxy_in_front_says_was_asked_for_chooses_the_backend() -> None:
    store = store_with(a_backend("inner", hosts=("10.0.0.1",)), a_backend("outer", hosts=("site.example",)))
    client = Client(address="192.0.2.7", scheme="https", host="site.example:8443")
    head = RequestHead("GET", "/", Headers([("Host", "10.0.0.1")]), None)

    admitted = admit_request(store, FakeClock(), POLICY, head, end_user=USER, client=client, new_id=lambda: REQUEST)

    assert admitted.exchange.backend_id == "outer"
    assert b"\r\nHost: 10.0.0.1\r\n" in admitted.head
    assert b"\r\nX-Forwarded-Host: site.example:8443\r\n" in admitted.head
