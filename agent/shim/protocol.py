"""The messages of the shim's POSTs, both ways: bytes and values, no I/O. The format is in `agent/shim/__init__.py`."""

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final
from urllib.parse import quote, urlsplit

Message = str | bytes
"""A text message, always made of scalar values; or a binary one."""

VERSION_FIELD: Final = "X-Websocket-Shim-Version"
PROTOCOLS_FIELD: Final = "X-Websocket-Shim-Protocols"

MAX_URL_BYTES: Final = 8192
MAX_CONTROL_BYTES: Final = 64 * 1024
"""The longest body of open, poll and close."""
MAX_DATA_BYTES: Final = 16 << 20
MAX_MESSAGES: Final = 1000
MAX_REASON_BYTES: Final = 123
"""What a close frame has room for (RFC 6455 section 5.5)."""

_MAX_ID: Final = 256
_MAX_PROTOCOLS: Final = 64

_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f\\]")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")


class BadRequest(Exception):
    """The page's request is malformed; the text says how, for the page's author."""


@dataclass(frozen=True, slots=True)
class Closing:
    """How a websocket ended, as a `CloseEvent` says it."""

    code: int
    reason: str
    clean: bool


LOST: Final = Closing(1006, "", clean=False)
"""No closing handshake; or nobody knows."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The messages of one `data`; their form depends on the version of the session that they are for."""

    session_id: str
    items: tuple[str | list[str], ...]
    first: int | None
    """The number of the first one, if the page numbers them."""


@dataclass(frozen=True, slots=True)
class PollRequest:
    session_id: str
    ack: int | None


@dataclass(frozen=True, slots=True)
class CloseRequest:
    session_id: str
    code: int | None
    """None for a close frame without one."""
    reason: str
    count: int | None
    """How many messages go before it, if the page says so."""


def shim_prefix(shim_path: str) -> str:
    """The path of the shim with a slash at either end, however the flag was written; raises `ValueError` for none."""
    segments = [segment for segment in shim_path.split("/") if segment not in ("", ".")]
    if not segments or ".." in segments or re.search(r"[^!-~]|[?#]", shim_path):
        raise ValueError("a path of at least one segment, in visible ASCII, without `..`, `?` and `#`")
    return f"/{'/'.join(segments)}/"


def parse_version(field: str | None) -> int:
    """The version that a page asks for: 1 for any that is newer, 0 for none or nonsense, as the original has it."""
    return 1 if field is not None and re.fullmatch(r"\+?0*[1-9][0-9]{0,8}", field) else 0


def parse_protocols(field: str | None) -> tuple[str, ...]:
    """The subprotocols that the page offers. Raises `BadRequest` for what cannot stand in a handshake."""
    protocols = tuple(part.strip() for part in (field or "").split(",") if part.strip())
    if len(protocols) > _MAX_PROTOCOLS or not all(_TOKEN.fullmatch(protocol) for protocol in protocols):
        raise BadRequest(f"{PROTOCOLS_FIELD}: at most {_MAX_PROTOCOLS} tokens, separated by commas")
    if len(set(protocols)) < len(protocols):
        raise BadRequest(f"{PROTOCOLS_FIELD}: a subprotocol is named twice")
    return protocols


def parse_target(body: bytes) -> str:
    """The target of the handshake: path and query of the URL that the page opens. Raises `BadRequest`.

    Nothing else of the URL counts, so what could mislead is refused: a user name, a scheme that is none of http and
    websockets, control characters. Characters beyond ASCII are encoded, as a browser does it.
    """
    url = _text(body)
    if len(body) > MAX_URL_BYTES:
        raise BadRequest(f"the URL is over {MAX_URL_BYTES} bytes")
    if _NOT_IN_URLS.search(url):
        raise BadRequest("the URL has a space, a backslash or a control character in it")
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise BadRequest("the body is not a URL") from exc
    if parts.scheme not in ("", "ws", "wss", "http", "https") or (parts.scheme and not parts.netloc):
        raise BadRequest("the body is not the URL of a websocket: ws://host/path")
    if "@" in parts.netloc:
        raise BadRequest("the URL has a user name in it")
    if not parts.netloc and not parts.path.startswith("/"):
        raise BadRequest("the URL is neither absolute nor begins with a slash")
    # Not `parts`: they lose an empty query, and `//` at the beginning of a path.
    rest = url.partition("#")[0]
    if parts.netloc:
        rest = rest[rest.index("//") + 2 + len(parts.netloc) :]
    return quote(rest if rest.startswith("/") else f"/{rest}", safe="".join(map(chr, range(0x21, 0x7F))))


def parse_data(body: bytes) -> Batch:
    """The messages of a `data`. Raises `BadRequest`; then nothing of it may be used."""
    listed = _json(body)
    if listed is None:
        listed = []
    if not isinstance(listed, list):
        raise BadRequest("the body is not a JSON list of messages")
    if len(listed) > MAX_MESSAGES:
        raise BadRequest(f"{len(listed)} messages, at most {MAX_MESSAGES} go at once")
    entries = [_object(entry) for entry in listed]
    session_ids = {_session_id(entry) for entry in entries}
    if len(session_ids) > 1:
        raise BadRequest("the messages are for more than one session")
    numbers = [_count(entry, "n") for entry in entries]
    first = numbers[0] if numbers else None
    expected = [None] * len(numbers) if first is None else list(range(first, first + len(numbers)))
    if numbers != expected:
        raise BadRequest("the numbers of the messages do not follow each other")
    return Batch(next(iter(session_ids), ""), tuple(_item(entry.get("msg")) for entry in entries), first)


def decode_messages(items: Iterable[str | list[str]], *, version: int) -> list[Message]:
    """The messages as they go to the backend. Raises `BadRequest`."""
    return [_decode(item, version) for item in items]


def _decode(item: str | list[str], version: int) -> Message:
    if isinstance(item, str):
        return scalar_text(item)
    [text] = item
    if version == 0:
        return scalar_text(text).encode()
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as exc:
        raise BadRequest("a binary message is not base64") from exc


def scalar_text(text: str) -> str:
    """The text with U+FFFD for each lone surrogate: JSON can say those, UTF-8 and so websockets cannot."""
    return _SURROGATE.sub("\ufffd", text)


def encode_messages(messages: Sequence[Message], *, version: int) -> bytes:
    """The answer to a poll."""
    return _compact([_encode(message, version) for message in messages])


def _encode(message: Message, version: int) -> str | list[str]:
    if isinstance(message, str):
        return message
    # Version 0 carries text alone: what is not UTF-8 is lost, as in the original.
    return [message.decode(errors="replace") if version == 0 else base64.b64encode(message).decode("ascii")]


def encode_opened(session_id: str, *, target: str, version: int, protocol: str) -> bytes:
    """The answer to an open; the host in its URL is only there because the original has one."""
    opened: dict[str, object] = {"id": session_id, "msg": f"ws://backend{target}"}
    if version:
        opened["v"] = version
    if protocol:
        opened["s"] = protocol
    return _compact({**opened, "ack": True})


def parse_poll(body: bytes) -> PollRequest:
    """Raises `BadRequest`."""
    fields = _object(_json(body))
    return PollRequest(_session_id(fields), _count(fields, "ack"))


def parse_close(body: bytes) -> CloseRequest:
    """Raises `BadRequest`."""
    fields = _object(_json(body))
    code, reason = fields.get("code"), fields.get("reason") or ""
    if code is not None and (type(code) is not int or not (code in (1000, 1001) or 3000 <= code <= 4999)):
        raise BadRequest("code: neither 1000 nor 1001 nor from 3000 to 4999")
    if not isinstance(reason, str) or len(scalar_text(reason).encode()) > MAX_REASON_BYTES:
        raise BadRequest(f"reason: not a text of at most {MAX_REASON_BYTES} bytes in UTF-8")
    if reason and code is None:
        raise BadRequest("reason: a close frame without a code has none")
    return CloseRequest(_session_id(fields), code, scalar_text(reason), _count(fields, "n"))


def encode_error(
    text: str, *, closing: Closing | None = None, status: int | None = None, taken: int | None = None
) -> bytes:
    """The error object."""
    optional = {"status": status, "taken": taken}
    return _compact(
        {
            "error": text,
            **(asdict(closing) if closing else {}),
            **{name: value for name, value in optional.items() if value is not None},
        }
    )


def _compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as exc:
        raise BadRequest("the body is not UTF-8") from exc


def _refuse(constant: str) -> float:
    raise ValueError(constant)


def _json(body: bytes) -> object:
    text = _text(body)
    try:
        value: object = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as exc:
        raise BadRequest("the body is not JSON") from exc
    return value


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise BadRequest("not a JSON object")
    return value


def _session_id(fields: Mapping[str, object]) -> str:
    session_id = fields.get("id")
    if not isinstance(session_id, str) or not 1 <= len(session_id) <= _MAX_ID:
        raise BadRequest("id: not the ID of a session")
    return session_id


def _count(fields: Mapping[str, object], name: str) -> int | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
        raise BadRequest(f"{name}: not a number of messages")
    return value


def _item(value: object) -> str | list[str]:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        return [value[0]]
    raise BadRequest("msg: neither a text nor a list of one text")
