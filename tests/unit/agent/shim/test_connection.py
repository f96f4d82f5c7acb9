"""One websocket to the backend, on a scripted socket, with the library's server as the peer."""

import socket
from collections import deque
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as HandshakeRequest
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from agent.shim.connection import Connection, Limits
from agent.shim.loop import READ, WRITE
from agent.shim.mailbox import Finished
from agent.shim.protocol import LOST, Closing, Message


class ScriptedSocket:
    """Gives what the peer said, takes `room` bytes."""

    def __init__(self) -> None:
        self.incoming: deque[bytes] = deque()
        self.room = 1 << 30
        self.taken = b""
        self.is_ended = False
        self.is_closed = False

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def send(self, data: memoryview) -> int:
        count = min(len(data), self.room)
        if not count:
            raise BlockingIOError
        self.room -= count
        self.taken += bytes(data[:count])
        return count

    def recv(self, size: int) -> bytes:
        if not self.incoming:
            if self.is_ended:
                return b""
            raise BlockingIOError
        data = self.incoming.popleft()
        if len(data) > size:
            self.incoming.appendleft(data[size:])
        return data[:size]

    def shutdown(self, how: int) -> None:
        assert how == socket.SHUT_WR

    def close(self) -> None:
        self.is_closed = True


class Scene:
    """A connection after its handshake, and its peer."""

    def __init__(self, **limits: int) -> None:
        self.socket = ScriptedSocket()
        self.wakes = 0
        self.now = 100.0
        protocol = ClientProtocol(parse_uri("ws://backend/"), max_size=limits.get("message_bytes", 1 << 20))
        request = protocol.connect()
        self.connection = Connection(
            cast(socket.socket, self.socket), protocol, request.serialize(), limits=Limits(**limits), wake=self.wake
        )
        self.peer = ServerProtocol(max_size=None)
        self.run()
        [event] = self.peer.events_received()
        assert isinstance(event, HandshakeRequest)
        self.peer.send_response(self.peer.accept(event))
        self.answer()
        assert self.connection.wait_for_response(timeout=0) is not None
        self.connection.tick(now=self.now)

    def wake(self, connection: Connection) -> None:
        self.wakes += 1

    def run(self) -> None:
        """One turn of the loop; the peer reads what was sent."""
        if self.connection.wanted() >= 0:
            self.connection.run(now=self.now)
        if self.socket.taken:
            self.peer.receive_data(self.socket.taken)
            self.socket.taken = b""

    def answer(self, *, cut: int = 1 << 30) -> None:
        """What the peer has to say arrives in pieces of at most `cut` bytes."""
        for data in self.peer.data_to_send():
            self.socket.incoming += [data[at : at + cut] for at in range(0, len(data), cut)]
            self.socket.is_ended = self.socket.is_ended or not data
        while self.socket.incoming and self.connection.wanted() >= 0 and self.connection.wanted() & READ:
            self.run()
        self.run()

    def frames(self) -> list[Frame]:
        """What the peer has received."""
        return [event for event in self.peer.events_received() if isinstance(event, Frame)]

    def received(self) -> list[Message]:
        taken = self.connection.mailbox.take(0, timeout=0)
        return list(taken.messages) if taken else []


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.binary(), min_size=1, max_size=5),
    st.integers(1, 40),
)
def test_messages_survive_any_cuts_and_fragments(messages: list[str | bytes], cut: int) -> None:
    scene = Scene()
    for message in messages:
        raw = message.encode() if isinstance(message, str) else message
        send = scene.peer.send_text if isinstance(message, str) else scene.peer.send_binary
        send(raw[:3], fin=False)
        scene.peer.send_continuation(raw[3:5], fin=False)
        scene.peer.send_ping(b"between")
        scene.peer.send_continuation(raw[5:], fin=True)
    scene.answer(cut=cut)
    assert scene.received() == messages


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.binary(), max_size=5))
def test_messages_are_sent_as_they_are(messages: list[str | bytes]) -> None:
    scene = Scene()
    assert scene.connection.send(messages, timeout=0) == len(messages)
    scene.run()
    found = [bytes(f.data).decode() if f.opcode is Opcode.TEXT else bytes(f.data) for f in scene.frames()]
    assert found == messages


def test_a_full_mailbox_stops_the_reading_and_room_wakes_the_loop() -> None:
    scene = Scene(waiting_messages=2)
    for _ in range(2):
        scene.peer.send_text(b"x")
    scene.answer()
    scene.peer.send_text(b"y")
    scene.answer()
    before, wakes = scene.connection.wanted(), scene.wakes
    scene.connection.mailbox.take(1, timeout=0)
    assert (before, scene.wakes - wakes, scene.connection.wanted()) == (0, 1, READ)
    scene.run()
    assert scene.connection.mailbox.is_full


def test_a_peer_that_does_not_read_stops_the_sending() -> None:
    scene = Scene(unsent_bytes=100)
    scene.socket.room = 0
    assert scene.connection.send(["x" * 60] * 5, timeout=0) == 2
    scene.run()
    assert scene.connection.wanted() == READ | WRITE
    scene.socket.room = 70
    scene.run()
    assert scene.connection.send(["x" * 60], timeout=0) == 1
    scene.socket.room = 1 << 20
    scene.run()
    assert (len(scene.frames()), scene.connection.wanted()) == (3, READ)


def test_silence_is_asked_about_and_then_the_end() -> None:
    scene = Scene()
    scene.now += 19
    scene.connection.tick(now=scene.now)
    scene.run()
    quiet = scene.frames()
    scene.now += 1
    scene.connection.tick(now=scene.now)
    scene.run()
    pings = scene.frames()
    scene.now += 19
    scene.connection.tick(now=scene.now)
    before = scene.connection.is_over
    scene.now += 1
    scene.connection.tick(now=scene.now)
    assert (quiet, [frame.opcode for frame in pings]) == ([], [Opcode.PING])
    assert (before, scene.connection.is_over, scene.connection.mailbox.closing) == (False, True, LOST)


def test_an_answer_to_the_question_keeps_it_alive() -> None:
    scene = Scene()
    for _ in range(5):
        scene.now += 20
        scene.connection.tick(now=scene.now)
        scene.run()
        scene.answer()
    assert not scene.connection.is_over


def test_a_page_that_does_not_poll_is_no_silence_of_the_backend() -> None:
    scene = Scene(waiting_messages=1)
    scene.peer.send_text(b"x")
    scene.answer()
    for _ in range(5):
        scene.now += 20
        scene.connection.tick(now=scene.now)
    assert (scene.connection.is_over, scene.frames()) == (False, [])


def test_text_that_is_no_text_ends_it() -> None:
    scene = Scene()
    scene.peer.send_text(b"\xff")
    scene.answer()
    assert scene.connection.mailbox.closing == Closing(1007, "not UTF-8", clean=False)


def test_a_peer_that_breaks_the_rules_ends_it() -> None:
    scene = Scene()
    scene.socket.incoming.append(b"\x8f\x00")
    scene.run()
    closing = scene.connection.mailbox.closing
    assert closing is not None
    assert (closing.code, closing.clean) == (1002, False)


def test_a_close_that_is_not_answered_has_an_end() -> None:
    scene = Scene()
    scene.connection.close(3000, "x")
    scene.connection.close(3001, "y")
    scene.run()
    [frame] = scene.frames()
    scene.connection.tick(now=0.0)
    before = scene.connection.is_over
    scene.connection.tick(now=float("inf"))
    assert (frame.data, before, scene.connection.is_over) == (b"\x0b\xb8x", False, True)
    assert scene.connection.mailbox.closing == LOST


def test_a_close_is_answered_and_nothing_can_be_sent_any_more() -> None:
    scene = Scene()
    scene.peer.send_close(4000, "bye")
    scene.answer()
    with pytest.raises(Finished) as caught:
        scene.connection.send(["x"], timeout=0)
    assert caught.value.closing == Closing(4000, "bye", clean=True)


def test_what_the_page_hears_may_differ_from_what_the_backend_gets() -> None:
    scene = Scene()
    told = Closing(1001, "idle", clean=True)
    scene.connection.close(1001, "idle", told=told)
    scene.run()
    scene.answer()
    assert scene.connection.mailbox.closing == told


def test_an_end_without_closing_is_a_loss() -> None:
    scene = Scene()
    scene.socket.is_ended = True
    scene.run()
    assert (scene.connection.mailbox.closing, scene.connection.wanted()) == (LOST, -1)
    scene.connection.release()
    scene.connection.release()
    assert scene.socket.is_closed
