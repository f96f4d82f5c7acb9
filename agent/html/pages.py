"""Which requests ask for a page, which answers are one: from heads alone, as browsers write and read them."""

from enum import Enum
from typing import Final

from wire.headers import Headers
from wire.http1 import RequestHead

SEC_FETCH_DEST: Final = "Sec-Fetch-Dest"

_INNER: Final = frozenset({"iframe", "frame", "embed", "object", "fencedframe"})

# With these a script says that it asks for a piece of a page: old libraries, htmx, Turbo, PJAX.
_OF_SCRIPTS: Final = ("X-Requested-With", "HX-Request", "Turbo-Frame", "X-Turbo-Request-Id", "X-PJAX")

# Encodings in which a byte below 0x80 need not be that character of ASCII: all labels of UTF-16, of ISO-2022-JP and of
# `replacement` (https://encoding.spec.whatwg.org/#names-and-labels).
_NOT_ASCII_COMPATIBLE: Final = frozenset(
    {
        "csiso2022jp", "csiso2022kr", "csunicode", "hz-gb-2312", "iso-10646-ucs-2", "iso-2022-cn", "iso-2022-cn-ext",
        "iso-2022-jp", "iso-2022-kr", "replacement", "ucs-2", "unicode", "unicodefeff", "unicodefffe", "utf-16",
        "utf-16be", "utf-16le",
    }
)  # fmt: skip


class Place(Enum):
    """Where a browser will show the answer to a request."""

    TOP = "in a tab of its own"
    INNER = "in a frame of another page"
    UNKNOWN = "as a page, but the request does not say where"
    NOWHERE = "not as a page: a script, a style sheet or a picture asks"


def place_of(head: RequestHead) -> Place:
    """Where the answer will be shown: what `Sec-Fetch-Dest` says, else what may be concluded from `Accept`.

    Browsers send `Sec-Fetch-*` to https and to their own machine only (https://w3c.github.io/webappsec-fetch-metadata),
    so that a current one does not send it to `http://proxy.example`. A script's request may be for HTML too
    (`Accept: text/html`), for a piece of a page: then only the fields of its library tell.
    """
    destination = head.headers.get(SEC_FETCH_DEST)
    if destination is None:
        return Place.UNKNOWN if _accepts_html(head.headers) else Place.NOWHERE
    if head.headers.get("Sec-Fetch-Mode") not in (None, "navigate", "nested-navigate"):
        return Place.NOWHERE
    if destination == "document":
        return Place.TOP
    return Place.INNER if destination in _INNER else Place.NOWHERE


def _accepts_html(headers: Headers) -> bool:
    if any(name in headers for name in _OF_SCRIPTS):
        return False
    ranges = [part for value in headers.get_all("Accept") for part in value.split(",")]
    return any(part.partition(";")[0].strip().lower() in ("text/html", "application/xhtml+xml") for part in ranges)


def media_type(headers: Headers) -> str:
    """The media type in lower case, without parameters; empty when there is none."""
    return (headers.get("Content-Type") or "").partition(";")[0].strip().lower()


def is_ascii_compatible(headers: Headers) -> bool:
    """False when `Content-Type` names an encoding in which tags are not the bytes of ASCII; a BOM may still do so."""
    for parameter in (headers.get("Content-Type") or "").split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'").strip().lower() not in _NOT_ASCII_COMPATIBLE
    return True


def is_attachment(headers: Headers) -> bool:
    """True for an answer to be saved: every disposition but `inline` counts as attachment (RFC 6266 section 4.2)."""
    kinds = [value.partition(";")[0].strip().lower() for value in headers.get_all("Content-Disposition")]
    return any(kind and "=" not in kind and kind != "inline" for kind in kinds)


def varying(headers: Headers, *names: str) -> Headers:
    """The fields, and `Vary` that names these too (RFC 9110 section 12.5.5)."""
    known = {part.strip().lower() for value in headers.get_all("Vary") for part in value.split(",")}
    missing = [name for name in names if name.lower() not in known]
    return headers.adding(("Vary", ", ".join(missing))) if missing and "*" not in known else headers
