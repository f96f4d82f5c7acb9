"""From what httptools has read of a request to a checked head, as it was sent.

httptools refuses what is not HTTP; what it lets pass and a proxy must not is refused here, by the rules of
`wire.strictness`, so that what is accepted from a client is what an agent can read.
"""

from typing import Final

from edge.errors import Refusal
from edge.upgrades import UPGRADE_NOT_SUPPORTED
from standalone.settings.addresses import bracketed
from wire.errors import MalformedMessage
from wire.headers import Headers
from wire.http1 import CHUNKED, Length, RequestHead
from wire.strictness import require_fields, require_request, require_version

_FRAMING: Final = ("Content-Length", "Transfer-Encoding")

_LATER: Final = ("Expect", "Upgrade")
"""What a server has to ignore in HTTP/1.0 (RFC 9110 sections 10.1.1 and 7.8)."""


def checked_head(
    method: bytes,
    target: bytes,
    fields: list[tuple[bytes, bytes]],
    *,
    version: str,
    server: tuple[str, int | None] | None,
    wants_upgrade: bool,
) -> RequestHead:
    """The head of a request; `server` is where it came in: address and port, or the path of a unix socket and None.

    Raises `MalformedMessage`, and `Refusal` for a body behind an offer to upgrade, which the parser would take for the
    other protocol's.
    """
    headers = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields])
    if version == "1.0" and "Host" not in headers:
        # Clients must send it from 1.1 on (RFC 9112 section 3.2), and health checks often speak the older version.
        headers = Headers([("Host", _host_at(server)), *headers])
    if version == "1.0":
        headers = headers.without(*_LATER)
    length = _length_of(headers)
    others = headers if length is None else headers.without(*_FRAMING)
    head = RequestHead(method.decode("latin-1"), target.decode("latin-1"), others, length)
    require_version(version, is_chunked=length == CHUNKED)
    require_fields(headers)
    if head.method == "CONNECT":
        return head  # its target has a form of its own, and no door takes it
    require_request(head.method, head.target, headers)
    if wants_upgrade and length not in (None, 0):
        raise Refusal(UPGRADE_NOT_SUPPORTED)
    return head


def _host_at(server: tuple[str, int | None] | None) -> str:
    """An address, and no name: nobody gets by it to what is there for one host (RFC 9112 section 3.3)."""
    return f"{bracketed(server[0])}:{server[1]}" if server and server[1] else "localhost"


def _length_of(headers: Headers) -> Length:
    lengths, codings = (headers.get_all(name) for name in _FRAMING)
    if len(lengths) + len(codings) > 1:
        # RFC 9112 sections 6.1 and 6.3: it may be an attempt at request smuggling.
        raise MalformedMessage("more than one Content-Length or Transfer-Encoding")
    if codings and codings[0].lower() != "chunked":
        raise MalformedMessage("Transfer-Encoding: only chunked is understood")
    if lengths and not (lengths[0].isascii() and lengths[0].isdigit() and len(lengths[0]) < 20):
        raise MalformedMessage("Content-Length: not a number")
    if codings:
        return CHUNKED
    return int(lengths[0]) if lengths else None
