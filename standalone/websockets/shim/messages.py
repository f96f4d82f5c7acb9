"""The bodies of the shim's calls, both ways. What the original does not know is used where `open` said `ack`."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

Message = str | bytes
"""A text message, or a binary one."""

VERSION: Final = ("X-Websocket-Shim-Version", "1")
PROTOCOLS: Final = "X-Websocket-Shim-Protocols"

MOST_MESSAGES: Final = 1000
"""In one `data`."""


class BadShim(Exception):
    """What answers at the shim's path is no shim."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An answer to `open`."""

    session_id: str
    subprotocol: str
    numbers: bool
    """True where both sides number their messages, so that a call whose answer was lost can be made again."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a websocket has ended: 1005 without a code, 1006 without a word."""

    code: int
    reason: str = ""


LOST: Final = Ending(1006)


def parse_opened(body: bytes) -> Opened:
    """Raises `BadShim`."""
    fields = _object(body)
    session_id, subprotocol = fields.get("id"), fields.get("s") or ""
    if not isinstance(session_id, str) or not session_id or not isinstance(subprotocol, str):
        raise BadShim("open: no id of a session")
    return Opened(session_id, subprotocol, fields.get("ack") is True)


def encode_data(opened: Opened, messages: Sequence[Message], *, first: int) -> bytes:
    """A `data` call; `first` is the number of its first message."""
    listed: list[dict[str, object]] = []
    for number, message in enumerate(messages, first):
        entry: dict[str, object] = {"id": opened.session_id, "msg": _encode(message)}
        listed.append(entry | ({"n": number} if opened.numbers else {}))
    return _compact(listed)


def encode_poll(opened: Opened, *, received: int) -> bytes:
    """A `poll` call, after so many messages."""
    return _compact({"id": opened.session_id} | ({"ack": received} if opened.numbers else {}))


def encode_close(opened: Opened, ending: Ending, *, sent: int) -> bytes:
    """A `close` call; a code that no page can send goes as none."""
    fields: dict[str, object] = {"id": opened.session_id}
    if opened.numbers:
        fields["n"] = sent
        if ending.code in (1000, 1001) or 3000 <= ending.code <= 4999:
            fields |= {"code": ending.code, "reason": ending.reason}
    return _compact(fields)


def parse_messages(body: bytes) -> list[Message]:
    """What a poll brought. Raises `BadShim`."""
    listed = _json(body)
    if not isinstance(listed, list):
        raise BadShim("poll: not a list of messages")
    return [_decode(item) for item in listed]


def parse_ending(body: bytes) -> Ending | None:
    """What an answer of 400 says of the end; None where it is not about that. The original's have no JSON, and each is
    final."""
    try:
        fields = _object(body)
    except BadShim:
        return LOST
    code, reason = fields.get("code"), fields.get("reason")
    if not isinstance(code, int):
        return None
    return Ending(code, reason if isinstance(reason, str) else "")


def _encode(message: Message) -> str | list[str]:
    return message if isinstance(message, str) else [base64.b64encode(message).decode("ascii")]


def _decode(item: object) -> Message:
    if isinstance(item, str):
        return item
    if isinstance(item, list) and len(item) == 1 and isinstance(item[0], str):
        try:
            return base64.b64decode(item[0], validate=True)
        except ValueError as exc:
            raise BadShim("poll: a binary message is not base64") from exc
    raise BadShim("poll: a message is neither a text nor a list of one")


def _compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _json(body: bytes) -> object:
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise BadShim("an answer is not JSON") from exc
    return value


def _object(body: bytes) -> dict[str, object]:
    value = _json(body)
    if not isinstance(value, dict):
        raise BadShim("an answer is not a JSON object")
    return value
