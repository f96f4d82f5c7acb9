"""The body of a user's request as it stands in the message that its agent gets."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from broker.forwarding import forwarded_trailers
from broker.intake import too_large
from broker.policy import Policy
from standalone.calls import Call
from standalone.pace import Pace
from wire.headers import normalise
from wire.http1 import End, encode_body, encode_end

BODY_RATE: Final = 240
"""Bytes a second."""

FIRST_BYTES: Final = 500_000

_MOMENT: Final = timedelta(milliseconds=50)
"""How long a request waits for its body before it is queued. Most bodies are short and whole by then, and their agent
gets them with one call; but a backend may want to see the head of one that takes its time."""


class RequestBody:
    """Reads a body, and gives it as it travels on. Its methods raise `MessageTooLarge` and what `Call.read` does."""

    def __init__(
        self,
        call: Call,
        policy: Policy,
        *,
        rate: int = BODY_RATE,
        first_bytes: int = FIRST_BYTES,
        hidden: str = "",
    ) -> None:
        """`rate` is the least, in bytes a second; `first_bytes` the most that `first` gives of the body; `hidden` the
        normalised name of a field that is not the client's to set, among trailers neither."""
        self._call = call
        self._policy = policy
        self._pace = Pace(rate=rate, window=policy.idle_wait.total_seconds())
        self._first_bytes = first_bytes
        self._hidden = hidden
        self._length = call.head.length
        self._received = 0
        self._held = b""
        """What has been read and not yet been given."""
        self._is_read = self._length in (None, 0)
        self.is_ended = self._is_read

    async def first(self) -> bytes:
        """What has come with the head, or comes in a moment; perhaps nothing."""
        if self.is_ended:
            return b""
        data = await self._gather()
        self._held = data[self._first_bytes :]
        return self._given(data[: self._first_bytes])

    async def next(self, *, meanwhile: Callable[[], None] = lambda: None) -> bytes:
        """The next bytes, as soon as there are some or the end; `meanwhile` as `Call.read` has it."""
        if not self._held:
            read = await self._call.read(self._policy.idle_wait, pace=self._pace, meanwhile=meanwhile)
            self._held = self._note(*read)
        data, self._held = self._held, b""
        return self._given(data)

    async def _gather(self) -> bytes:
        loop = asyncio.get_running_loop()
        ends = loop.time() + _MOMENT.total_seconds()
        pieces: list[bytes] = []
        while not self._is_read and self._received < self._first_bytes:
            read = await self._call.read_before(ends)
            if read is None:
                break
            pieces.append(self._note(*read))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _note(self, data: bytes, is_last: bool) -> bytes:
        self._received += len(data)
        if self._received > self._policy.max_body_bytes:
            raise too_large(self._policy)
        self._is_read = is_last
        return data

    def _given(self, data: bytes) -> bytes:
        self.is_ended = self._is_read and not self._held
        framed = encode_body(data, self._length)
        if not self.is_ended:
            return framed
        trailers = forwarded_trailers(self._call.trailers).where(lambda name: normalise(name) != self._hidden)
        return framed + encode_end(End(trailers), self._length)
