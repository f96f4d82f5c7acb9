"""Where a script has to stand in a page to be the first that runs, found while the page flows.

Up to the head the HTML standard allows only white space, comments, one doctype, `<html>` and `<head>`; with the first
thing else the head has begun, if need be without a tag
(https://html.spec.whatwg.org/multipage/parsing.html#the-before-html-insertion-mode and its neighbours). So the place is
in front of that thing, and never inside a comment, a script, a title or an attribute: all of these come later. Tags
`<meta charset>` are passed over too, because browsers look for them near the start of the page only.
"""

import re
from collections.abc import Callable
from enum import Enum
from typing import Final

from agent.html.tags import TagEnd, attributes

LOOK_AHEAD: Final = 64 * 1024
"""Bytes. A page that has begun with a doctype or a tag gets its script behind so many at the next place that is whole;
one that has not (comments alone) passes as it is, because a script in front of a doctype would change the layout."""

_BOM: Final = b"\xef\xbb\xbf"
_SPACES: Final = re.compile(rb"[\t\n\f\r ]*")
_LETTER: Final = re.compile(rb"[A-Za-z]")
_TAG_NAME: Final = re.compile(rb"[^\t\n\f\r />]{1,5}")
_COMMENT_END: Final = re.compile(rb"--!?>")
_DOCTYPE: Final = b"doctype"


class Outcome(Enum):
    """What a scan has found."""

    SEARCHING = "not yet known"
    FOUND = "the script belongs behind the bytes that have been given"
    NONE = "the page passes as it is"


class HeadScan:
    """One scan of one page.

    Each call gives the bytes that may flow on: all but those of a tag that is not whole yet, at most `LOOK_AHEAD`.
    Once `outcome` is FOUND the script follows directly behind them, and then `rest`.
    """

    def __init__(self, look_ahead: int = LOOK_AHEAD) -> None:
        self.outcome = Outcome.SEARCHING
        self.rest = b""
        """What was fed and not given, once the outcome is known; to be taken once."""
        self._look_ahead = look_ahead
        self._passed = 0  # Bytes that have been given.
        self._data = bytearray()
        self._position = 0  # In _data: what is in front of it has been read.
        self._mark: int | None = None  # In _data: where the thing begins that may be the place.
        self._read: Callable[[], bool] = self._read_start
        self._tag = TagEnd()
        self._name_length = 0
        self._has_begun = False  # With a doctype or a tag: the layout is settled.
        self._is_in_head = False

    def feed(self, data: bytes) -> bytes:
        """Further bytes of the page."""
        self._data += data
        while self.outcome is Outcome.SEARCHING and self._read():
            pass
        if self.outcome is Outcome.SEARCHING and self._mark is not None and self._is_too_long():
            self._decide(Outcome.FOUND, self._mark)
        return self._take()

    def close(self) -> bytes:
        """The page has ended; the outcome is known after this. A page that shows nothing gets its script all the same
        (another page may use what is in it), but not one without any byte."""
        if self.outcome is Outcome.SEARCHING:
            is_at_place = self._mark is not None or self._read == self._read_between
            outcome = Outcome.FOUND if is_at_place else Outcome.NONE
            self._decide(outcome, self._position if self._mark is None else self._mark)
        return self._take()

    def _is_too_long(self) -> bool:
        """True when what has been read of the thing at the mark is more than is kept."""
        return self._mark is not None and self._position - self._mark > self._look_ahead

    def _take(self) -> bytes:
        end = self._position if self._mark is None else self._mark
        given = bytes(self._data[:end])
        del self._data[:end]
        self._passed += end
        self._position -= end
        if self._mark is not None:
            self._mark = 0
        if self.outcome is not Outcome.SEARCHING:
            self.rest, self._data, self._position, self._mark = bytes(self._data), bytearray(), 0, None
        return given

    def _decide(self, outcome: Outcome, place: int) -> bool:
        """The end of the scan; False, as of a reader that reads no further."""
        self.outcome = outcome
        self._mark = place
        return False

    def _continue(self, read: Callable[[], bool], position: int) -> bool:
        self._read = read
        self._position = position
        return True

    # Readers: each takes what it can from `_position` on, and says whether it got any further. False means that more
    # bytes are needed, or that the scan has ended.

    def _read_start(self) -> bool:
        """A byte order mark stands in front of everything; pages in UTF-16 have one, or zeros between their letters."""
        start = bytes(self._data[:3])
        if len(start) < 2 or start == _BOM[:2]:
            return False
        if start[:2] in (b"\xfe\xff", b"\xff\xfe") or 0 in start[:2]:
            return self._decide(Outcome.NONE, 0)
        return self._continue(self._read_between, 3 if start == _BOM else 0)

    def _read_between(self) -> bool:
        """Between two things."""
        last = max(self._position, self._look_ahead - self._passed)
        spaces = _SPACES.match(self._data, self._position, last)
        assert spaces is not None
        self._position = spaces.end()
        if self._position >= last:
            return self._decide(Outcome.FOUND if self._has_begun else Outcome.NONE, self._position)
        if self._position == len(self._data):
            return False
        if self._data[self._position] != ord("<"):
            return self._decide(Outcome.FOUND, self._position)
        self._mark = self._position
        return self._continue(self._read_opening, self._position + 1)

    def _read_opening(self) -> bool:
        """Behind `<`."""
        assert self._mark is not None
        character = bytes(self._data[self._position : self._position + 1])
        if not character:
            return False
        if character == b"!":
            return self._continue(self._read_declaration, self._position + 1)
        if character == b"?":
            return self._skip(self._read_bogus_comment, self._position + 1)
        if character == b"/":
            return self._continue(self._read_closing, self._position + 1)
        if _LETTER.match(character):
            return self._continue(self._read_name, self._position)
        return self._decide(Outcome.FOUND, self._mark)

    def _read_declaration(self) -> bool:
        """Behind `<!`: a comment, a doctype, or what the standard calls a bogus comment."""
        start = bytes(self._data[self._position : self._position + len(_DOCTYPE)]).lower()
        if start.startswith(b"--"):
            return self._skip(self._read_comment_start, self._position + 2)
        if start == _DOCTYPE:
            self._has_begun = True
        elif b"--".startswith(start) or _DOCTYPE.startswith(start):
            return False
        # A doctype ends like a bogus comment, at the first `>`, even inside of quotes.
        return self._skip(self._read_bogus_comment, self._position)

    def _read_closing(self) -> bool:
        """Behind `</`: a real end tag is the place; `</>` is nothing, and everything else a bogus comment."""
        assert self._mark is not None
        if self._position == len(self._data):
            return False
        if _LETTER.match(self._data, self._position):
            return self._decide(Outcome.FOUND, self._mark)
        return self._skip(self._read_bogus_comment, self._position)

    def _read_bogus_comment(self) -> bool:
        end = self._data.find(b">", self._position)
        if end < 0:
            self._position = len(self._data)
            return False
        return self._continue(self._read_between, end + 1)

    def _read_comment_start(self) -> bool:
        """Behind `<!--`: `<!-->` and `<!--->` are whole comments."""
        start = bytes(self._data[self._position : self._position + 2])
        if start in (b"", b"-"):
            return False
        if start.startswith(b">"):
            return self._continue(self._read_between, self._position + 1)
        if start == b"->":
            return self._continue(self._read_between, self._position + 2)
        return self._continue(self._read_comment, self._position)

    def _read_comment(self) -> bool:
        end = _COMMENT_END.search(self._data, self._position)
        if end is None:
            # The end may be cut: `--!` is the longest part of it.
            self._position = max(self._position, len(self._data) - 3)
            return False
        return self._continue(self._read_between, end.end())

    def _read_name(self) -> bool:
        """The name of a start tag."""
        assert self._mark is not None
        match = _TAG_NAME.match(self._data, self._position)
        assert match is not None
        name = match.group().lower()
        if len(name) < 5 and match.end() == len(self._data):
            return False
        self._tag, self._name_length = TagEnd(), len(name)
        if name == b"meta":
            return self._continue(self._read_meta, match.end())
        if self._is_in_head or name not in (b"html", b"head"):
            return self._decide(Outcome.FOUND, self._mark)
        self._has_begun = True
        self._is_in_head = name == b"head"
        return self._skip(self._read_tag, match.end())

    def _read_tag(self) -> bool:
        """Behind the name of `<html` or `<head`."""
        self._position, is_end = self._tag.advance(self._data, self._position)
        return is_end and self._continue(self._read_between, self._position)

    def _read_meta(self) -> bool:
        """Behind `<meta`: it may be one to pass over, and it begins the head."""
        assert self._mark is not None
        self._position, is_end = self._tag.advance(self._data, self._position)
        if not is_end:
            return False
        if self._is_too_long() or not _says_charset(
            self._data[self._mark : self._position], name_length=self._name_length
        ):
            return self._decide(Outcome.FOUND, self._mark)
        self._has_begun = self._is_in_head = True
        return self._skip(self._read_between, self._position)

    def _skip(self, read: Callable[[], bool], position: int) -> bool:
        """What begins at the mark is not the place: it may flow."""
        self._mark = None
        return self._continue(read, position)


def _says_charset(tag: bytearray, *, name_length: int) -> bool:
    """True for a meta element that names the encoding and does nothing else."""
    found = attributes(tag, name_length=name_length)
    does = found.get(b"http-equiv", b"content-type")
    return does == b"content-type" and (b"charset" in found or b"http-equiv" in found)
