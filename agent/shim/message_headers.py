"""The header fields of the page's request, put into its messages at `resource.headers`: --enable-websockets-injection.

As in the original (`injectWebsocketMessage` in `agent/websockets/connection.go`): only into messages that are a JSON
object whose `resource` is an object whose `headers` is an object; the first value of each field; what the page put
there stays.
Unlike there, names that begin with `X-Inverting-Proxy-`, in any case and with `_` for `-`, are ours alone: the page's
are taken out, so that nobody passes for another user. All else of the message stays as it was, to the byte (numbers,
order, escapes), but for the space between the members of a `headers` from which something was taken.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from agent.shim.protocol import BadRequest, Message, scalar_text
from wire.headers import normalise
from wire.protocol import OWNED_PREFIX

# Numbers are not read: Python refuses those of over 4,300 digits, which are JSON to others.
_DECODER: Final = json.JSONDecoder(parse_int=str, parse_float=str)
_SPACE = re.compile(r"[ \t\n\r]*")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def canonical(name: str) -> str:
    """A field's name as Go's net/http gives it, because that is how backends know it: `x-a` is `X-A`."""
    return "-".join(part.capitalize() for part in name.split("-")) if _TOKEN.fullmatch(name) else name


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of an object: its key, and where the text has it."""

    key: str
    begin: int
    value: int
    end: int


def with_headers(message: Message, headers: Iterable[tuple[str, str]]) -> Message:
    """The message with those of `headers` that it does not name, and with no other field of ours.

    Unchanged if it has no place for them. Raises `BadRequest` for an object so deep that it cannot be looked through.
    """
    text = ""
    try:
        text = message if isinstance(message, str) else message.decode()
        changed = _changed(text, _DECODER.decode(text), headers)
    except ValueError:
        return message
    except RecursionError:
        if text[_skip(text, 0)] != "{":
            return message
        raise BadRequest("msg: a JSON object too deep to be looked through for header fields") from None
    if changed == text:
        return message
    return scalar_text(changed) if isinstance(message, str) else changed.encode()


def _changed(text: str, top: object, headers: Iterable[tuple[str, str]]) -> str:
    resource = top.get("resource") if isinstance(top, dict) else None
    has_place = isinstance(resource, dict) and isinstance(resource.get("headers"), dict)
    # Of a repeated key the last one counts here, but the backend may see it otherwise: ours are taken out of all.
    places = [
        inner.value
        for outer in _members(text, _skip(text, 0))
        if outer.key == "resource"
        for inner in _members(text, outer.value)
        if inner.key == "headers" and text[inner.value] == "{"
    ]
    first: dict[str, str] = {}
    for name, value in headers:
        first.setdefault(canonical(name), value)
    pieces, done = list[str](), 0
    for number, place in enumerate(places, 1):
        replacement, end = _with_fields(text, place, first if has_place and number == len(places) else {})
        pieces += [text[done:place], replacement]
        done = end
    return "".join([*pieces, text[done:]])


def _with_fields(text: str, place: int, fields: dict[str, str]) -> tuple[str, int]:
    """The object at `place` as it should be, and where the one in the text ends."""
    members = list(_members(text, place))
    kept = [member for member in members if not normalise(member.key).startswith(OWNED_PREFIX)]
    present = {member.key for member in kept}
    added = [f"{json.dumps(name)}:{json.dumps(value)}" for name, value in fields.items() if name not in present]
    begin = place + 1
    end = _skip(text, members[-1].end if members else begin) + 1
    if len(kept) == len(members):
        return f"{{{','.join(added)}{',' if added and members else ''}{text[begin:end]}", end
    return f"{{{','.join([*added, *(text[member.begin : member.end] for member in kept)])}}}", end


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _members(text: str, at: int) -> Iterator[_Member]:
    """The members of the value that begins at `at`: none if it is no object. The text is known to be JSON."""
    if text[at] != "{" or text[_skip(text, at + 1)] == "}":
        return
    while text[at] != "}":
        begin = _skip(text, at + 1)
        key, at = _DECODER.raw_decode(text, begin)
        value = _skip(text, _skip(text, at) + 1)
        _, end = _DECODER.raw_decode(text, value)
        yield _Member(key, begin, value, end)
        at = _skip(text, end)
