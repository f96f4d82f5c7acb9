"""What an answer keeps in memory while it is read, and what becomes of a request that is still being sent then."""

import tracemalloc
from typing import Final, cast

import pytest

from agent.transport.client import AHEAD_BYTES, Reply
from agent.transport.connection import Connection
from agent.transport.upload import Upload
from wire.http1 import End

KIB: Final = 1 << 10
PIECE: Final = 64 * KIB
HEAD: Final = b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n"


class Pouring(Connection):
    """A connection to a backend that is never behind."""

    def __init__(self, length: int, *, fields: bytes = b"") -> None:
        self.left = length
        self.is_reused = False
        self._head = HEAD % (fields, length)

    def receive(self, *, timeout: float | None) -> bytes:
        return self.receive_now()

    def receive_now(self) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head
        size = min(self.left, PIECE)
        self.left -= size
        return bytes(size)

    def release(self) -> None:
        pass

    def close(self) -> None:
        pass


def a_reply(connection: Pouring) -> Reply:
    return Reply(connection, "GET", None, None, is_awaited=False)


def test_of_a_long_answer_only_a_little_is_taken_ahead() -> None:
    backend = Pouring(100 * AHEAD_BYTES)
    reply = a_reply(backend)

    assert reply.advance()
    assert reply.advance()

    assert not reply.is_whole
    assert backend.left >= 98 * AHEAD_BYTES


def test_what_was_taken_ahead_comes_first_and_all_comes() -> None:
    reply = a_reply(Pouring(3 * AHEAD_BYTES + 1))
    reply.advance()

    *pieces, end = reply.events()

    assert (sum(len(cast(bytes, piece)) for piece in pieces), end) == (3 * AHEAD_BYTES + 1, End())


def test_a_long_answer_does_not_come_whole_soon() -> None:
    assert not a_reply(Pouring(3 * AHEAD_BYTES)).arrives(0.0)
    assert a_reply(Pouring(AHEAD_BYTES)).arrives(0.0)


def test_what_has_been_read_is_not_kept() -> None:
    reply = a_reply(Pouring(AHEAD_BYTES))
    tracemalloc.start()
    reply.advance()
    for _ in reply.events():
        pass
    current, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert current < 2 * PIECE
    assert reply.head.status == 200


class Unfinished(Upload):
    """A body of which more is to be sent."""

    finished_at = source_error = None

    def __init__(self) -> None:
        self.waited = self.stopped = 0

    def has_completed(self) -> bool:
        self.waited += 1
        return False

    def stop(self) -> None:
        self.stopped += 1


@pytest.mark.parametrize(("fields", "waited"), [(b"", 1), (b"Connection: close\r\n", 0)])
def test_an_answer_that_ends_its_connection_does_not_wait_for_the_end_of_the_request(
    fields: bytes, waited: int
) -> None:
    upload = Unfinished()
    reply = Reply(Pouring(3, fields=fields), "POST", upload, None)

    assert reply.read(limit=3) == bytes(3)
    reply.close()

    assert (upload.waited, upload.stopped) == (waited, 1)
