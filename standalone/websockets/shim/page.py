"""The user's websocket, of which the proxy is the server: frames in, frames out. Only this module imports websockets.

The protocol is the library's, without its I/O, and without extensions: compression is declined.
"""

import asyncio
from collections import deque
from typing import Final

from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from standalone.connections.splice import End
from standalone.websockets.shim.messages import LOST, MOST_MESSAGES, Ending, Message

_MOST_BYTES: Final = 12 << 20
"""The longest message: a shim takes 16 MiB in one call, and a binary message is a third longer there."""
_FULL: Final = 1 << 20
"""So many bytes wait for the agent, and no more are read."""
_CLOSE_SECONDS: Final = 5.0
"""For the user to answer a close frame."""


class Page(End):
    """One connection; made when its handshake has been answered."""

    def __init__(self) -> None:
        super().__init__()
        self._protocol = Protocol(Side.SERVER, state=State.OPEN, max_size=_MOST_BYTES)
        self._messages: deque[Message] = deque()
        self._waiting = 0
        self._fragments: list[bytes] = []
        self._opcode = Opcode.TEXT
        self._changed = asyncio.Event()
        self._can_write = asyncio.Event()
        self._can_write.set()
        self.bytes_in = self.bytes_out = 0

    # What the transport calls

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            assert isinstance(event, Frame)
            self._take(event)
        self._flush()
        if self._waiting >= _FULL:
            self.transport.pause_reading()
        self._changed.set()

    def eof_received(self) -> bool:
        self._protocol.receive_eof()
        self._flush()
        self._changed.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.receive_eof()
        super().connection_lost(exc)
        self._can_write.set()
        self._changed.set()

    def pause_writing(self) -> None:
        self._can_write.clear()

    def resume_writing(self) -> None:
        self._can_write.set()

    # What the session does

    @property
    def ending(self) -> Ending | None:
        """How the user, or a breach of the protocol, has ended it; None while it is open."""
        received, sent = self._protocol.close_rcvd, self._protocol.close_sent
        if received is not None:
            return Ending(int(received.code), received.reason)
        if sent is not None:
            return Ending(int(sent.code), sent.reason)
        return LOST if self.is_lost or self._protocol.state is State.CLOSED else None

    async def receive(self) -> list[Message]:
        """The next messages, as many as go in one call; none once it has ended."""
        while not self._messages and self.ending is None:
            self._changed.clear()
            await self._changed.wait()
        taken: list[Message] = []
        while self._messages and len(taken) < MOST_MESSAGES and (not taken or self._fits(taken)):
            taken.append(self._messages.popleft())
            self._waiting -= len(taken[-1])
        if self._waiting < _FULL and not self.is_lost:
            self.transport.resume_reading()
        return taken

    def _fits(self, taken: list[Message]) -> bool:
        return sum(map(len, taken)) + len(self._messages[0]) <= _FULL

    async def send(self, message: Message) -> None:
        """Send, when the user has read enough of what was sent before."""
        await self._can_write.wait()
        if self.ending is not None:
            return
        self.bytes_out += len(message)
        if isinstance(message, str):
            self._protocol.send_text(message.encode("utf-8", "replace"))
        else:
            self._protocol.send_binary(message)
        self._flush()

    async def finish(self, ending: Ending) -> None:
        """End it, with a closing handshake where there is something to say; returns when the connection has ended."""
        if self._protocol.state is State.OPEN and ending.code != LOST.code:
            code = None if ending.code == 1005 else ending.code
            self._protocol.send_close(code, ending.reason if code else "")
            self._flush()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS if ending.code != LOST.code else 0):
                while self._protocol.close_rcvd is None and not self.is_lost:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass
        self.close()

    def _take(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._opcode = frame.opcode
        elif frame.opcode is not Opcode.CONT:
            return
        self._fragments.append(bytes(frame.data))
        if not frame.fin:
            return
        data, self._fragments = b"".join(self._fragments), []
        self.bytes_in += len(data)
        try:
            self._messages.append(data.decode() if self._opcode is Opcode.TEXT else data)
        except UnicodeDecodeError:
            self._protocol.fail(1007, "not UTF-8")
            return
        self._waiting += len(self._messages[-1])

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if self.is_lost or self.transport.is_closing():
                continue
            if data:
                self.transport.write(data)
            elif self.transport.can_write_eof():
                self.transport.write_eof()
