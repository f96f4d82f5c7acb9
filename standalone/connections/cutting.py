"""Where requests end in what comes on a connection. The parser does not say it, but the bytes of a head can be counted,
and a request that has no room yet can wait, only where each begins with a piece of its own."""

from typing import Final

_EMPTY_LINE: Final = b"\r\n\r\n"


class Cutter:
    """Finds the ends of pieces: behind each empty line, with a body of known length, or where the data ends.

    Heads end in an empty line, and so do chunked bodies; the parser refuses any other line ends in them.
    """

    def __init__(self) -> None:
        self.body_left = 0
        """Bytes still to come of a body whose length is known, whatever they are; to be set behind its head."""
        self._before = b""
        """The last bytes, at most 3, of a piece that goes on with the next data."""

    def end_of(self, data: bytes, start: int) -> int:
        """Where the piece ends that begins there; asked for one piece after the other."""
        if self.body_left:
            end = min(start + self.body_left, len(data))
            self.body_left -= end - start
            return end
        if (found := (self._before + data[start : start + 3]).find(_EMPTY_LINE)) >= 0:
            end = start + found - len(self._before) + len(_EMPTY_LINE)
        elif (found := data.find(_EMPTY_LINE, start)) >= 0:
            end = found + len(_EMPTY_LINE)
        else:
            self._before = (self._before + data[max(start, len(data) - 3) :])[-3:]
            return len(data)
        self._before = b""
        return end
