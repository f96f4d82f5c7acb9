"""Where the bytes of a stream of an exchange lie: the first few in its entity, the others in parts."""

import secrets
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

MAX_PART_BYTES: Final = 1_000_000
"""An entity holds 1,048,572 bytes."""

MAX_INLINE_BYTES: Final = 32_000
"""What lies in the entity of the exchange is written again with each of its few states, but is no entity of its own."""

MAX_READ_BYTES: Final = 3_000_000
"""What one look-up of a long body brings at most, mostly two parts: each thread of an instance may hold so much."""

Side = Literal["request", "answer"]


@dataclass(frozen=True, slots=True)
class Stream:
    """Which parts a stream has, where the stored bytes end, and whether they are all; before the first part
    its first bytes, where they came few at a time."""

    names: tuple[str, ...] = ()
    end: int = 0
    ended: bool = False
    inline: bytes = b""

    def parts_between(self, offset: int, end: int) -> list[str]:
        """The names of the parts that hold these bytes, all of them stored; the inline ones are in none."""
        first = max(0, bisect_right(self.names, offset, key=start_of) - 1)
        return [name for name in self.names[first:] if start_of(name) < end]

    def parts_from(self, offset: int) -> list[str]:
        """The names of the parts to be read at an offset, as many as one look-up brings; behind the stored bytes, of
        the one that may come next. None at the beginning of a stream: most are short, and inline."""
        if offset >= self.end:
            return [str(offset)] if offset else []
        return self.parts_between(offset, offset + MAX_READ_BYTES - MAX_PART_BYTES)

    def size_of(self, names: Sequence[str]) -> int:
        """The most bytes that these consecutive parts hold; one that may come next may be full."""
        if not names:
            return 0
        start = start_of(names[0])
        return self.end - start if start < self.end else MAX_PART_BYTES

    def adding(self, data: bytes, *, last: bool, writer: str) -> tuple["Stream", dict[str, bytes]]:
        """The stream with further bytes, and their parts by name."""
        end, ended = self.end + len(data), self.ended or last
        if not self.names and end <= MAX_INLINE_BYTES:
            return Stream((), end, ended, self.inline + data), {}
        suffix = f".{writer}" if len(data) > MAX_PART_BYTES else ""
        parts = {
            f"{self.end + at}{suffix}": data[at : at + MAX_PART_BYTES] for at in range(0, len(data), MAX_PART_BYTES)
        }
        return Stream((*self.names, *parts), end, ended, self.inline), parts


def new_writer() -> str:
    """Who writes certain bytes, in all attempts to do so: for the names of parts."""
    return secrets.token_hex(8)


def start_of(name: str) -> int:
    """Where in its stream a part begins."""
    return int(name.partition(".")[0])
