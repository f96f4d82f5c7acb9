"""One websocket to the backend: what is sent to it waits here, what comes from it goes into a mailbox; both bounded.

The protocol (frames, masks, ping and pong, closing) is that of the library websockets, without its I/O: its client for
threads holds one lock while it sends and needs the same lock to receive, so that two peers that send each other much
wait for ever; and it takes two threads and four descriptors for each websocket.
"""

import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response as HandshakeResponse
from websockets.protocol import State

from agent.shim.loop import READ, WRITE
from agent.shim.mailbox import Finished, Mailbox
from agent.shim.protocol import LOST, Closing, Message

_RECEIVE_BYTES: Final = 1 << 16
_READS: Final = 8
"""In a row, before other websockets have their turn."""

_SILENCE: Final = 20.0
"""Seconds without a byte after which a ping is sent, and then again after which nobody is there."""
_CLOSE_SECONDS: Final = 5.0
"""For the backend to answer a close frame, and to end the connection (RFC 6455 section 7.1.1: the server does it)."""
_FRAGMENTS: Final = 16_384
_OVERFLOW_BYTES: Final = 64 << 20
"""More than this is never waiting but for pongs to a backend that does not read."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one websocket may hold in memory."""

    message_bytes: int = 16 << 20
    """The longest message from the backend; a longer one ends the websocket with 1009."""
    waiting_messages: int = 1000
    waiting_bytes: int = 4 << 20
    """From the backend to a page that does not poll: then no more is read, until it does. One message may be over."""
    unsent_bytes: int = 1 << 20
    """From the page to a backend that does not read: then no more is taken. One message may be over."""


class Connection:
    """A websocket on a connected `sock`, which it owns; `request` are the bytes of the handshake.

    `wake` asks the loop to look at it. Every method but those of `Channel` may be called from any thread.
    """

    def __init__(
        self,
        sock: socket.socket,
        protocol: ClientProtocol,
        request: bytes,
        *,
        limits: Limits,
        wake: Callable[["Connection"], None],
    ) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._limits = limits
        self._wake = wake
        self.mailbox = Mailbox(
            max_messages=limits.waiting_messages, max_bytes=limits.waiting_bytes, on_room=lambda: wake(self)
        )
        self._changed = threading.Condition()  # guards all below
        self._protocol = protocol
        self._unsent: deque[memoryview] = deque([memoryview(request)])
        self._unsent_bytes = len(request)
        self._ends_sending = False
        self._is_over = False
        self._close_by: float | None = None
        self._response: HandshakeResponse | None = None
        # The loop's thread alone:
        self._fragments: list[bytes | bytearray | memoryview] = []
        self._opcode = Opcode.TEXT
        self._heard_at: float | None = None
        self._is_pinged = False
        self._reads_by_writing = False

    @property
    def subprotocol(self) -> str:
        return self._protocol.subprotocol or ""

    @property
    def is_over(self) -> bool:
        """True once nothing is sent or received any more."""
        with self._changed:
            return self._is_over

    def wait_for_response(self, *, timeout: float) -> HandshakeResponse | None:
        """The backend's answer to the handshake; None when the connection ended without one. Raises `TimeoutError`."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._response is not None or self._is_over, timeout=timeout):
                raise TimeoutError
            return self._response

    def send(self, messages: Sequence[Message], *, timeout: float) -> int:
        """Send in order what there is room for within `timeout` seconds; how many that were. Raises `Finished`."""
        give_up_at = time.monotonic() + timeout
        for number, message in enumerate(messages):
            with self._changed:
                self._changed.wait_for(self._may_send, timeout=max(0.0, give_up_at - time.monotonic()))
                if self._protocol.state is not State.OPEN:
                    raise Finished(self.mailbox.closing or LOST)
                if self._unsent_bytes >= self._limits.unsent_bytes:
                    return number
                if isinstance(message, str):
                    self._protocol.send_text(message.encode())
                else:
                    self._protocol.send_binary(message)
                self._collect()
            self._wake(self)
        return len(messages)

    def _may_send(self) -> bool:
        return self._protocol.state is not State.OPEN or self._unsent_bytes < self._limits.unsent_bytes

    def close(self, code: int | None, reason: str, *, told: Closing | None = None) -> None:
        """Begin the closing handshake behind what is still unsent; returns at once, and does nothing the second time.

        `told` is what the page hears of it; without it, it is what the backend answers, and no more messages.
        """
        if told is None:
            self.mailbox.shut()
        else:
            self.mailbox.finish(told)
        with self._changed:
            if self._protocol.state is State.OPEN:
                self._protocol.send_close(code, reason)
                self._collect()
                self._close_by = time.monotonic() + _CLOSE_SECONDS
            elif self._protocol.state is State.CONNECTING:
                self._is_over = True
            self._changed.notify_all()
        self._wake(self)

    def abort(self) -> None:
        """End it without a word."""
        self._end()
        self._wake(self)

    def _collect(self) -> None:
        """Take what the protocol wants to send; the lock is held."""
        for data in self._protocol.data_to_send():
            if data:
                self._unsent.append(memoryview(data))
                self._unsent_bytes += len(data)
            else:
                self._ends_sending = True

    def _end(self) -> None:
        with self._changed:
            self._protocol.receive_eof()
            self._protocol.data_to_send()
            self._is_over = True
            closing = self._closing() or LOST
            self._changed.notify_all()
        self.mailbox.finish(closing)

    def _closing(self) -> Closing | None:
        """How the websocket has ended, as far as that is known; the lock is held."""
        received, sent = self._protocol.close_rcvd, self._protocol.close_sent
        if received is not None:
            return Closing(int(received.code), received.reason, clean=sent is not None)
        if sent is not None and self._close_by is None:
            # Not asked for: the backend broke the rules, or a limit.
            return Closing(int(sent.code), sent.reason, clean=False)
        return LOST if self._is_over else None

    # What follows is called by the loop: see `Channel`.

    def fileno(self) -> int:
        return self._socket.fileno()

    def wanted(self) -> int:
        is_full = self.mailbox.is_full
        with self._changed:
            if self._is_over:
                return -1
            writes = self._unsent or self._ends_sending or self._reads_by_writing
            return (0 if is_full else READ) | (WRITE if writes else 0)

    def run(self, *, now: float) -> None:
        self._heard_at = self._heard_at or now
        try:
            self._send_unsent()
            self._receive(now)
        except OSError:
            self._end()

    def tick(self, *, now: float) -> None:
        with self._changed:
            is_late = self._close_by is not None and now >= self._close_by
            is_open = self._protocol.state is State.OPEN
        if is_late:
            self._end()
        elif not is_open or self.mailbox.is_full:
            self._heard_at, self._is_pinged = now, False
        elif self._heard_at is not None and now - self._heard_at >= (2 if self._is_pinged else 1) * _SILENCE:
            self._ping_or_end()

    def fail(self) -> None:
        self._end()

    def release(self) -> None:
        self._end()
        self._socket.close()

    def _ping_or_end(self) -> None:
        if self._is_pinged:
            self._end()
            return
        self._is_pinged = True
        with self._changed:
            self._protocol.send_ping(b"")
            self._collect()

    def _send_unsent(self) -> None:
        while self._unsent:
            try:
                count = self._socket.send(self._unsent[0])
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            with self._changed:
                self._unsent_bytes -= count
                if count < len(self._unsent[0]):
                    self._unsent[0] = self._unsent[0][count:]
                else:
                    self._unsent.popleft()
                self._changed.notify_all()
        if self._ends_sending:
            self._ends_sending = False
            if not isinstance(self._socket, ssl.SSLSocket):
                # TLS has its own end of sending, which the end of the connection brings.
                self._socket.shutdown(socket.SHUT_WR)

    def _receive(self, now: float) -> None:
        self._reads_by_writing = False
        for _ in range(_READS):
            if self.mailbox.is_full or self._is_over:
                return
            try:
                data = self._socket.recv(_RECEIVE_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            except ssl.SSLWantWriteError:
                self._reads_by_writing = True
                return
            if not data:
                self._end()
                return
            self._heard_at, self._is_pinged = now, False
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        with self._changed:
            self._protocol.receive_data(data)
            messages = [
                message for event in self._protocol.events_received() if (message := self._message(event)) is not None
            ]
            self._collect()
            if self._unsent_bytes > _OVERFLOW_BYTES:
                raise ConnectionError("the backend sends, but does not read")
            closing = self._closing()
            if self._protocol.close_expected() and self._close_by is None:
                self._close_by = time.monotonic() + _CLOSE_SECONDS
            self._changed.notify_all()
        for message in messages:
            self.mailbox.put(message)
        if closing is not None:
            self.mailbox.finish(closing)

    def _message(self, event: object) -> Message | None:
        """The message that an event completes; the lock is held."""
        if isinstance(event, HandshakeResponse):
            self._response = event
            return None
        assert isinstance(event, Frame)
        if event.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._opcode = event.opcode
        elif event.opcode is not Opcode.CONT:
            return None
        self._fragments.append(event.data)
        if not event.fin:
            if len(self._fragments) >= _FRAGMENTS:
                self._protocol.fail(1009, "too many fragments")
            return None
        data, self._fragments = b"".join(self._fragments), []
        if self._opcode is Opcode.BINARY:
            return data
        try:
            return data.decode()
        except UnicodeDecodeError:
            self._protocol.fail(1007, "not UTF-8")
            return None
