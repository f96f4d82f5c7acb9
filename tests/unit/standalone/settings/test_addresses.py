import pytest

from standalone.settings.addresses import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", Address("", "127.0.0.1", 8080)),
        ("https://0.0.0.0:443", Address("https", "0.0.0.0", 443)),
        ("http://[::1]:0", Address("http", "::1", 0)),
        ("proxy.example:65535", Address("", "proxy.example", 65535)),
        ("unix:///run/proxy.sock", Address("unix", "/run/proxy.sock")),
    ],
)
def test_an_address_is_read_and_written(text: str, address: Address) -> None:
    assert (parse_address(text), str(address)) == (address, text)


@pytest.mark.parametrize(
    "text",
    ["", "8080", ":8080", "127.0.0.1", "::1:80", "[1.2.3.4]:80", "[:::1]:80", "a:65536", "a:-1", "ftp://a:1", "a b:1"]
    + ["http://a:1/", "unix://run", "unix:///", "unix:///run/", f"unix:///{'x' * 107}", "a:1\n", "user@a:1"]
    + ["999.1.1.1:80", "1.2.3.04:80", "[::ffff:127.0.0.1]:80"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_address(text)


@pytest.mark.parametrize(
    ("one", "other", "excludes"),
    [
        ("0.0.0.0:1", "10.0.0.1:1", True),
        ("[::]:1", "[::1]:1", True),
        ("[::1]:1", "[0:0::1]:1", True),
        ("http://a:1", "https://a:1", True),
        ("localhost:1", "127.0.0.1:1", True),
        ("localhost:1", "0.0.0.0:1", True),
        ("unix:///a", "unix:///a", True),
        ("0.0.0.0:1", "[::]:1", False),
        ("0.0.0.0:1", "10.0.0.1:2", False),
        ("10.0.0.1:1", "10.0.0.2:1", False),
        ("10.0.0.1:0", "10.0.0.1:0", False),
        ("a:1", "b:1", False),
        ("a:1", "10.0.0.1:1", False),
        ("unix:///a", "unix:///b", False),
        ("unix:///a", "a:1", False),
    ],
)
def test_two_addresses_in_one_place_exclude_each_other(one: str, other: str, excludes: bool) -> None:
    first, second = parse_address(one), parse_address(other)

    assert (first.excludes(second), second.excludes(first)) == (excludes, excludes)


@pytest.mark.parametrize(
    ("text", "is_local"),
    [("127.0.0.1:1", True), ("127.9.9.9:1", True), ("[::1]:1", True), ("localhost:1", True), ("unix:///x", True)]
    + [("0.0.0.0:1", False), ("192.0.2.1:1", False), ("proxy.example:1", False), ("[::]:1", False)],
)
def test_an_address_beyond_this_machine_is_known_as_such(text: str, is_local: bool) -> None:
    assert parse_address(text).is_local == is_local
