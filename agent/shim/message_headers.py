"""The header fields of the page's request, put into its messages at `resource.headers`: --enable-websockets-injection.

As in the original (`injectWebsocketMessage` in `agent/websockets/connection.go`): only into messages that are a JSON
object whose `resource` is an object whose `headers` is an object; the first value of each field; what the page put
there stays.
Unlike there, all else of the message stays as it was, to the byte: numbers, order, escapes.
"""

import json
import re
from collections.abc import Iterable
from typing import Final

from agent.shim.protocol import Message, scalar_text

_DECODER: Final = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def canonical(name: str) -> str:
    """A field's name as Go's net/http gives it, because that is how backends know it: `x-a` is `X-A`."""
    return "-".join(part.capitalize() for part in name.split("-")) if _TOKEN.fullmatch(name) else name


def with_headers(message: Message, headers: Iterable[tuple[str, str]]) -> Message:
    """The message with those of `headers` that it does not name; unchanged if it has no place for them."""
    try:
        text = message if isinstance(message, str) else message.decode()
        top: object = json.loads(text)
    except (ValueError, RecursionError):
        return message
    resource = top.get("resource") if isinstance(top, dict) else None
    present = resource.get("headers") if isinstance(resource, dict) else None
    if not isinstance(present, dict):
        return message
    first: dict[str, str] = {}
    for name, value in headers:
        first.setdefault(canonical(name), value)
    added = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in first.items() if name not in present)
    if not added:
        return message
    begin = _value_at(text, _value_at(text, _skip(text, 0), "resource"), "headers") + 1
    changed = f"{text[:begin]}{added}{',' if present else ''}{text[begin:]}"
    return scalar_text(changed) if isinstance(message, str) else changed.encode()


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _value_at(text: str, at: int, wanted: str) -> int:
    """Where the value of `wanted` begins in the object that begins at `at`: the last one, which is the one that counts.

    The text is known to be JSON, and `wanted` to be there.
    """
    found = -1
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, _skip(text, at + 1))
        at = _skip(text, _skip(text, at) + 1)
        if key == wanted:
            found = at
        _, at = _DECODER.raw_decode(text, at)
        at = _skip(text, at)
    return found
