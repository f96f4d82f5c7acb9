import ipaddress
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from standalone.connections.proxy_protocol import MAX_HEADER, UNKNOWN, Origin, ProxyHeaderError, read_header

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
HTTP = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


class CutOff(Exception):
    """The data ended before the header did."""


def read(data: bytes) -> tuple[Origin, bytes]:
    """The client, and what is left behind the header."""
    header, position = read_header(), 0
    wanted = next(header)
    while True:
        taken = data[position : position + wanted]
        position += wanted
        assert 0 < wanted <= MAX_HEADER
        if len(taken) < wanted:
            raise CutOff
        try:
            wanted = header.send(taken)
        except StopIteration as stop:
            return stop.value, data[position:]


def version_2(rest: bytes, *, command: int = 0x21, family: int = 0x11) -> bytes:
    return SIGNATURE + bytes((command, family)) + len(rest).to_bytes(2, "big") + rest


def ends(source: str, port: int) -> bytes:
    address = ipaddress.ip_address(source).packed
    return address + bytes(len(address)) + port.to_bytes(2, "big") + (443).to_bytes(2, "big")


def fact(kind: int, value: bytes) -> bytes:
    return bytes((kind,)) + len(value).to_bytes(2, "big") + value


@pytest.mark.parametrize(
    ("header", "origin"),
    [
        (b"PROXY TCP4 198.51.100.7 192.0.2.1 56324 443\r\n", Origin("198.51.100.7", 56324)),
        (b"PROXY TCP6 2001:db8::7 ::1 1 65535\r\n", Origin("2001:db8::7", 1)),
        (b"PROXY UNKNOWN\r\n", UNKNOWN),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", UNKNOWN),
        (version_2(ends("198.51.100.7", 56324)), Origin("198.51.100.7", 56324)),
        (version_2(ends("2001:db8::7", 1), family=0x21), Origin("2001:db8::7", 1)),
        (version_2(ends("1.2.3.4", 1) + fact(4, b"") + fact(1, b"h2")), Origin("1.2.3.4", 1)),
        (version_2(ends("1.2.3.4", 1) + fact(0x20, b"\x01\x00\x00\x00\x00")), Origin("1.2.3.4", 1, is_tls=True)),
        (version_2(ends("1.2.3.4", 1) + fact(0x20, b"\x00\x00\x00\x00\x00")), Origin("1.2.3.4", 1)),
        (version_2(ends("1.2.3.4", 1) + fact(0x20, b"")), Origin("1.2.3.4", 1)),
        (version_2(b"", command=0x20, family=0), UNKNOWN),
        (version_2(b"whatever", command=0x20, family=0x99), UNKNOWN),
        (version_2(bytes(216), family=0x31), UNKNOWN),
        (version_2(b"", family=0), UNKNOWN),
    ],
)
def test_the_client_is_read_and_nothing_behind_the_header_is(header: bytes, origin: Origin) -> None:
    assert read(header + HTTP) == (origin, HTTP)
    assert read(header) == (origin, b"")


@pytest.mark.parametrize(
    "data",
    [
        HTTP,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abc",
        b"proxy tcp4 1.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n" + HTTP,
        b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
        b"PROXY TCP4 1.2.3.400 1.2.3.4 1 2\r\n",
        b"PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY TCP6 fe80::1%1 ::1 1 2\r\n",
        b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY UNKNOWNS\r\n",
        b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n",
        b"PROXY UNKNOWN \x00\r\n",
        version_2(ends("1.2.3.4", 1), command=0x22),
        version_2(ends("1.2.3.4", 1), command=0x11),
        version_2(ends("1.2.3.4", 1), family=0x12),
        version_2(ends("1.2.3.4", 1), family=0x21),
        version_2(b"", family=0x11),
        version_2(ends("1.2.3.4", 1) + b"\x01"),
        version_2(ends("1.2.3.4", 1) + b"\x01\x00\x05abc"),
        version_2(bytes(MAX_HEADER + 1)),
    ],
)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(ProxyHeaderError):
        read(data)


@given(st.binary(max_size=300).flatmap(lambda data: st.sampled_from((data, b"PROXY " + data, SIGNATURE + data))))
@example(b"PROXY " + b"a" * 200)
def test_whatever_comes_is_a_client_or_is_refused(data: bytes) -> None:
    with suppress(ProxyHeaderError, CutOff):
        origin, _ = read(data)
        assert origin is UNKNOWN or str(ipaddress.ip_address(origin.address)) == origin.address


@given(st.ip_addresses(), st.integers(0, 65535), st.sampled_from(range(4)))
def test_a_header_of_either_version_says_the_same(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, cut: int
) -> None:
    line = f"PROXY TCP{address.version} {address} {address} {port} 1\r\n".encode()
    binary = version_2(ends(str(address), port), family=0x11 if address.version == 4 else 0x21)

    assert read(line) == read(binary) == (Origin(str(address), port), b"")
    for header in (line, binary):
        with pytest.raises(CutOff):
            read(header[: len(header) - 1 - cut])


@given(st.data(), st.sampled_from((0x01, 0x20, 0x30, 0xFF)))
def test_facts_of_any_kind_are_passed_over(data: st.DataObject, kind: int) -> None:
    draw: Callable[[], bytes] = lambda: data.draw(st.binary(max_size=100))  # noqa: E731
    header = version_2(ends("1.2.3.4", 1) + b"".join(fact(kind, draw()) for _ in range(3)))

    origin, rest = read(header)
    assert (origin.address, rest) == ("1.2.3.4", b"")
