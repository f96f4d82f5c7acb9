"""The syntax of a start tag behind its name, by the tokenizer of the HTML standard: where it ends, its attributes.

https://html.spec.whatwg.org/multipage/parsing.html#before-attribute-name-state and the states after it. A `>` does not
end a tag inside a quoted value; and a quote opens a value only behind `=`, so that `<html "a>` is whole.
"""

import re
from typing import Final, NamedTuple


class _State(NamedTuple):
    """What to look for; the next state by the byte that is found and taken, and the state for every other byte."""

    stop: re.Pattern[bytes]
    after: dict[bytes, str]
    otherwise: str


_NOT_SPACE: Final = re.compile(rb"[^\t\n\f\r ]")

_STATES: Final = {
    "before name": _State(re.compile(rb"[^\t\n\f\r /]"), {b">": "end"}, "name"),
    "name": _State(
        re.compile(rb"[\t\n\f\r />=]"), {b"=": "before value", b">": "end", b"/": "before name"}, "after name"
    ),
    "after name": _State(_NOT_SPACE, {b"=": "before value", b">": "end", b"/": "before name"}, "name"),
    "before value": _State(_NOT_SPACE, {b'"': "double quotes", b"'": "single quotes", b">": "end"}, "bare value"),
    "double quotes": _State(re.compile(rb'"'), {}, "before name"),
    "single quotes": _State(re.compile(rb"'"), {}, "before name"),
    "bare value": _State(re.compile(rb"[\t\n\f\r >]"), {b">": "end"}, "before name"),
}

# The same grammar for a whole tag. A name may begin with `=`.
_ATTRIBUTE: Final = re.compile(
    rb"""
    [\t\n\f\r\x20/]* (?P<name> [^\t\n\f\r\x20/>] [^\t\n\f\r\x20/>=]* )
    (?: [\t\n\f\r\x20]* = [\t\n\f\r\x20]*
        (?: "(?P<double> [^"]* )" | '(?P<single> [^']* )' | (?P<bare> [^\t\n\f\r\x20>"'] [^\t\n\f\r\x20>]* ) )?
    )?
    """,
    re.VERBOSE,
)


class TagEnd:
    """Finds the end of one tag, from behind its name on, in bytes that come in pieces."""

    def __init__(self) -> None:
        self._state = "before name"

    def advance(self, data: bytes | bytearray, position: int) -> tuple[int, bool]:
        """Read from `position`; the position behind what was read, and whether that is the end of the tag."""
        while self._state != "end":
            stop, after, otherwise = _STATES[self._state]
            if (found := stop.search(data, position)) is None:
                return len(data), False
            self._state = after.get(found.group(), otherwise)
            position = found.end()
        return position, True


def attributes(tag: bytes | bytearray, *, name_length: int) -> dict[bytes, bytes]:
    """The attributes of a whole start tag `<name …>`, names and values in lower case; of one name the first counts."""
    found: dict[bytes, bytes] = {}
    for match in _ATTRIBUTE.finditer(tag[1 + name_length : -1]):
        value = match["double"] or match["single"] or match["bare"] or b""
        found.setdefault(match["name"].lower(), value.lower())
    return found
