"""The bytes of one message in memory: appended at the end, forgotten from the start when room is needed."""

from collections import deque
from itertools import islice
from typing import Final

from broker import exchange as rules
from broker.model import Part

_SMALL: Final = 1 << 12
"""Neighbours that are no longer than this together become one piece: many small writes cost little more than their
bytes."""

_LEAST: Final = 1 << 14
"""What a window may always hold, so that every message gets on."""

_SHARES: Final = 8

_ENOUGH: Final = 1 << 16
"""What a reader gets at once when it lags behind: less would cost a turn for each small write."""


class Memory:
    """How much all windows of a store hold together: `size` bytes, and for each window a little more.

    None may hold more than an eighth of what is free. So what many slow readers leave lying never takes all: the more
    of them there are, the less each gets, and those who read soon have room (Choudhury and Hahne, "Dynamic queue length
    thresholds for shared-memory packet switches", 1998).
    """

    __slots__ = ("_size", "held")

    def __init__(self, size: int) -> None:
        self._size = size
        self.held = 0
        """By all windows, in bytes."""

    @property
    def share(self) -> int:
        """The most that one window may hold just now."""
        return max(_LEAST, (self._size - self.held) // _SHARES)


class Window:
    """At most `size` bytes of a message: those that are unread, and those read as long as there is room for all.

    They are kept in the pieces in which they came, so that a long body passes without being copied. Of one whose
    beginning had to be forgotten no read bytes are kept: whoever repeats something, begins at the beginning.
    """

    __slots__ = ("_end", "_is_ended", "_memory", "_pieces", "_read", "_size", "_start")

    def __init__(self, size: int, memory: Memory) -> None:
        self._size = size
        self._memory = memory
        self._pieces: deque[bytes] = deque()
        self._start = self._end = 0
        """Where the kept bytes begin and end."""
        self._read = 0
        self._is_ended = False

    def append(self, offset: int, data: bytes, *, last: bool) -> int:
        """Take what fits, and return the stored end. Raises `ConflictingBytes`."""
        rules.require_end(stored_end=self._end, is_ended=self._is_ended, end=offset + len(data), last=last)
        fresh = data if offset == self._end else self._fresh_bytes(offset, data)
        taken = fresh[: self._room_for(len(fresh))]
        self._keep(taken)
        self._is_ended = self._is_ended or (last and len(taken) == len(fresh))
        return self._end

    def read(self, offset: int) -> Part | None:
        """What stands at `offset`, if anything is to be said about it yet. Raises `ConflictingBytes`."""
        rules.require_kept(offset, starts_at=self._start, stored_end=self._end)
        self._read = max(self._read, offset)
        if self._start:
            self._forget(self._read - self._start)
        data = self._bytes_at(offset)
        is_last = self._is_ended and offset + len(data) == self._end
        return Part(offset, data, is_last) if data or is_last else None

    def whole(self, *, at_most: int) -> bytes | None:
        """The message, if all of it has come, is kept, and is no longer than that."""
        if not self._is_ended or self._start or self._end > at_most:
            return None
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def close(self) -> None:
        """Nobody needs it any more: give its memory back."""
        self._memory.held -= self._end - self._start
        self._start = self._end
        self._pieces.clear()

    @property
    def is_whole(self) -> bool:
        """True while nothing has been forgotten."""
        return self._start == 0

    @property
    def read_up_to(self) -> int:
        """The offset behind the bytes that have arrived at the reader."""
        return self._read

    def rewind(self) -> None:
        """Another reader begins anew: nothing has arrived at him."""
        self._read = self._start

    def _fresh_bytes(self, offset: int, data: bytes) -> bytes:
        return rules.fresh_bytes(b"".join(self._pieces), offset, data, starts_at=self._start)

    def _room_for(self, size: int) -> int:
        """Room for new bytes, after forgetting as many read ones as that needs."""
        limit = min(self._size, self._memory.share)
        excess = self._end - self._start + size - limit
        if excess > 0:
            self._forget(min(excess, self._read - self._start))
        return max(0, limit - (self._end - self._start))

    def _forget(self, size: int) -> None:
        self._start += size
        self._memory.held -= size
        while size:
            first = self._pieces.popleft()
            if len(first) > size:
                self._pieces.appendleft(first[size:])
            size -= min(size, len(first))

    def _keep(self, data: bytes) -> None:
        self._end += len(data)
        self._memory.held += len(data)
        if self._pieces and len(self._pieces[-1]) + len(data) <= _SMALL:
            self._pieces[-1] += data
        elif data:
            self._pieces.append(data)

    def _bytes_at(self, offset: int) -> bytes:
        """Kept bytes from `offset` on: one piece where it is long, else some together."""
        left = self._end - offset
        if not left:
            return b""
        index = len(self._pieces)
        while left > 0:  # from the end: a reader that keeps up wants what came last
            index -= 1
            left -= len(self._pieces[index])
        data = self._pieces[index][-left:] if left else self._pieces[index]
        if len(data) >= _ENOUGH:
            return data
        return self._joined(data, index + 1)

    def _joined(self, data: bytes, index: int) -> bytes:
        pieces, size = [data], len(data)
        for piece in islice(self._pieces, index, None):
            if size >= _ENOUGH:
                break
            pieces.append(piece)
            size += len(piece)
        return data if len(pieces) == 1 else b"".join(pieces)
