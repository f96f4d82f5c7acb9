"""The grammar of HTTP/1.1 heads, strict: nothing that others may read in another way (RFC 9110, RFC 9112).

A proxy re-writes messages, so both of its sides have to agree where one stops and what a field says. The same rules
hold for what is read and for what is written, so that whatever parses can be written and parsed again.

Every function raises `MalformedMessage`; its text never quotes a value, which may be a cookie or a token.
"""

import re
from typing import Final

from wire.errors import MalformedMessage
from wire.headers import Headers
from wire.remembering import Remembered

_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_IS_METHOD: Final = Remembered(lambda name: _METHOD.fullmatch(name) is not None)
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_IS_FIELD_NAME: Final = Remembered(lambda name: _FIELD_NAME.fullmatch(name) is not None)
_FIELD_VALUE = re.compile(r"[\t -~\x80-\xff]*")

# RFC 9112 section 3.2: origin form, absolute form, asterisk form. The authority form belongs to CONNECT, and a target
# such as `@host/` would change the host of a URL that somebody makes of it.
_TARGET = re.compile(r"/[!-~]*|[A-Za-z][A-Za-z0-9+.-]*://[!-~]+|\*")

# RFC 9110 section 7.2: `uri-host [ ":" port ]`, no user name, no path. A comma, which a name might have, is rather what
# somebody has put between two fields.
_HOST = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+;=%-]*|\[[A-Za-z0-9.:_~%-]+\])(?::[0-9]*)?")
_IS_HOST: Final = Remembered(lambda text: _HOST.fullmatch(text) is not None)

# A control byte other than the tab, anywhere in a head without its line ends: there a CR or an LF stood alone.
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_FOLDED = re.compile(rb"\r\n[ \t]")

_FRAMING = re.compile(rb"(?i)\r\n(content-length|transfer-encoding):([^\r]*)")
_LENGTH = re.compile(rb"[0-9]{1,19}")
_SWITCH = re.compile(rb"HTTP/[0-9]\.[0-9] 101\b")


def require_strict_head(head: bytes) -> tuple[bytes, bytes] | None:
    """Check the bytes of a head, with the empty line at its end, before anything is read from it.

    The one field that frames the body, if there is one: its name in lower case, and its value.
    """
    require_strict_lines(head, what="head")
    if _SWITCH.match(head):
        raise MalformedMessage("status 101: an answer cannot switch protocols")
    framing = [(name.lower(), value.strip(b" \t")) for name, value in _FRAMING.findall(head)]
    if len(framing) > 1:
        # RFC 9112 sections 6.1 and 6.3: it may be an attempt at request smuggling.
        raise MalformedMessage("more than one Content-Length or Transfer-Encoding")
    for name, value in framing:
        if name == b"content-length" and _LENGTH.fullmatch(value) is None:
            raise MalformedMessage("Content-Length: not a number")
        if name == b"transfer-encoding" and value.lower() != b"chunked":
            raise MalformedMessage("Transfer-Encoding: only chunked is understood")
    return framing[0] if framing else None


def require_strict_lines(lines: bytes, *, what: str) -> None:
    """Check lines that end in CR LF: no control byte but these and the tab, and no folded line."""
    if bad := _FORBIDDEN.search(lines.replace(b"\r\n", b"")):
        raise MalformedMessage(f"forbidden byte {bad.group()!r} in the message {what}")
    if _FOLDED.search(lines):
        raise MalformedMessage(f"a folded line in the message {what}")


def parse_fields(lines: bytes) -> Headers:
    """The fields in lines of `name: value` (RFC 9112 section 5), each with its end; `require_strict_lines` has passed
    them."""
    pairs = []
    for line in lines.decode("latin-1").split("\r\n")[:-1]:
        name, colon, value = line.partition(":")
        if not (colon and _IS_FIELD_NAME[name]):
            raise MalformedMessage("illegal header line")
        pairs.append((name, value.strip(" \t")))
    return Headers(pairs)


def require_version(version: str, *, is_chunked: bool) -> None:
    """Check the digits of an HTTP version. HTTP/1.0 knows no chunked coding (RFC 9112 section 6.1)."""
    if version not in ("1.0", "1.1"):
        raise MalformedMessage("HTTP version: neither 1.1 nor 1.0")
    if version == "1.0" and is_chunked:
        raise MalformedMessage("Transfer-Encoding in a message of HTTP/1.0")


def require_request(method: str, target: str, headers: Headers) -> None:
    """Check the first line of a request, and its `Host`: exactly one, in every version, because 1.1 is written."""
    if not _IS_METHOD[method]:
        raise MalformedMessage("method: not a token of at most 64 characters")
    if _TARGET.fullmatch(target) is None:
        raise MalformedMessage("target: neither a path, nor an absolute URL, nor *; in visible ASCII")
    hosts = headers.get_all("Host")
    if len(hosts) != 1:
        raise MalformedMessage(f"Host: {len(hosts)} of them, not one")
    if not _IS_HOST[hosts[0]]:
        raise MalformedMessage("Host: not a host with an optional port")


def require_fields(headers: Headers) -> None:
    """Check the names and values of header or trailer fields."""
    for name, _ in headers:
        if not _IS_FIELD_NAME[name]:
            raise MalformedMessage(f"header field name {name!r}: not a token")
    # All values in one look; a tab may stand in any.
    if _FIELD_VALUE.fullmatch("\t".join([value for _, value in headers])) is None:
        bad = next(name for name, value in headers if _FIELD_VALUE.fullmatch(value) is None)
        raise MalformedMessage(f"header field {bad}: a forbidden character in its value")
