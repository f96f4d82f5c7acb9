"""The PROXY protocol: whose connection it is, which a proxy in front says before anything else.

Pure. Versions 1 and 2 as https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt describes them, without what does
not concern a proxy for HTTP: datagrams, and checksums. Exactly the bytes of the header are asked for, so that what
comes behind it, TLS or HTTP, is left for others.
"""

import ipaddress
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Final

MAX_HEADER: Final = 4096
"""Of version 2; a proxy may add facts of all kinds. Version 1 ends within 107 bytes."""

_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_MAX_LINE: Final = 107
_LINE: Final = re.compile(
    rb"PROXY (?:(TCP[46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (\d{1,5}) (\d{1,5})|UNKNOWN(?: [\x20-\x7e]*)?)\r\n"
)

_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6, _UNIX, _UNSPECIFIED = 0x11, 0x21, 0x31, 0x00
_ADDRESS_BYTES: Final = {_TCP4: 12, _TCP6: 36, _UNIX: 216, _UNSPECIFIED: 0}
_ABOUT_TLS: Final = 0x20
_SPOKE_TLS: Final = 0x01


class ProxyHeaderError(ValueError):
    """What a connection began with is no header of the PROXY protocol."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The client at the other end of a proxy's connection."""

    address: str
    port: int
    is_tls: bool = False
    """True where the client spoke TLS to the proxy."""


UNKNOWN: Final = Origin("unknown", 0)
"""Where the proxy does not say whose connection it is, or speaks for itself (a health check; but some say so also of
connections that clients share). Never the proxy's own address: what clients send there would be taken for its word.
The name is that of RFC 7239 section 6.2."""


def read_header() -> Generator[int, bytes, Origin]:
    """Yields how many bytes it wants, and is to be sent exactly these. Raises `ProxyHeaderError`."""
    start = yield len(_SIGNATURE)
    if start == _SIGNATURE:
        command, family, *length = yield 4
        return _parse(command, family, (yield from _read(int.from_bytes(bytes(length), "big"))))
    if not start.startswith(b"PROXY "):
        raise ProxyHeaderError("begins with something else")
    while not start.endswith(b"\n"):
        if len(start) == _MAX_LINE:
            raise ProxyHeaderError("a first line without an end")
        start += yield 1
    return _parse_line(start)


def _read(length: int) -> Generator[int, bytes, bytes]:
    if length > MAX_HEADER:
        raise ProxyHeaderError(f"a header of more than {MAX_HEADER} bytes")
    return (yield length) if length else b""


def _parse_line(line: bytes) -> Origin:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ProxyHeaderError("a first line that is none of version 1")
    version, *addresses, source_port, target_port = match.groups()
    if version is None:
        return UNKNOWN
    kind = ipaddress.IPv4Address if version == b"TCP4" else ipaddress.IPv6Address
    try:
        source, _ = (kind(address.decode()) for address in addresses)
    except ValueError as exc:
        raise ProxyHeaderError("an address that is none") from exc
    ports = [int(port) for port in (source_port, target_port)]
    if max(ports) > 65535:
        raise ProxyHeaderError("a port that is none")
    return Origin(str(source), ports[0])


def _parse(command: int, family: int, rest: bytes) -> Origin:
    if command == _LOCAL:
        return UNKNOWN  # whatever stands behind it
    if command != _PROXY:
        raise ProxyHeaderError("neither of the commands of version 2")
    if family not in _ADDRESS_BYTES or len(rest) < _ADDRESS_BYTES[family]:
        raise ProxyHeaderError("addresses of a kind that a connection does not have, or too short")
    facts = dict(_read_facts(rest[_ADDRESS_BYTES[family] :]))
    if family not in (_TCP4, _TCP6):
        return UNKNOWN
    size = 4 if family == _TCP4 else 16
    port = int.from_bytes(rest[2 * size : 2 * size + 2], "big")
    about_tls = facts.get(_ABOUT_TLS, b"")
    spoke_tls = bool(about_tls) and bool(about_tls[0] & _SPOKE_TLS)
    return Origin(str(ipaddress.ip_address(rest[:size])), port, spoke_tls)


def _read_facts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Types and values (TLV)."""
    position = 0
    while position < len(data):
        end = position + 3 + int.from_bytes(data[position + 1 : position + 3], "big")
        if position + 3 > len(data) or end > len(data):
            raise ProxyHeaderError("facts that are cut off")
        yield data[position], data[position + 3 : end]
        position = end
