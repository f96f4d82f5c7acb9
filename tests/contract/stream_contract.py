"""What holds for the two streams of bytes of an exchange, in every store: appended and read by offset, in any cut."""

import random
from collections.abc import Callable
from typing import Final

import pytest

from broker.errors import ConflictingBytes
from broker.model import Part
from broker.store import Store
from tests.contract.cases import (
    NOW,
    answer,
    everything,
    fetched,
    part_of_answer,
    part_of_request,
    queued,
)
from tests.factories import BACKEND, REQUEST, a_backend, an_exchange

SIZES: Final = (0, 1, 1_000_000, 1_000_001, 5_000_000, 31_000_000)
PIECES: Final = (64 * 1024, 1_000_000)
RETRIES: Final = 15

Append = Callable[[Store, int, bytes, bool], int]
Read = Callable[[Store, int], Part | None]


def _begin_request(store: Store) -> None:
    store.put_backend(a_backend())
    store.add_exchange(an_exchange(), b"", last=False)


def _append_request(store: Store, offset: int, data: bytes, last: bool) -> int:
    return store.append_request(BACKEND, REQUEST, offset, data, last=last, now=NOW)


def _begin_answer(store: Store) -> None:
    fetched(store)


def _append_answer(store: Store, offset: int, data: bytes, last: bool) -> int:
    return answer(store, offset, data, last=last)


STREAMS: Final = pytest.mark.parametrize(
    ("begin", "append", "read"),
    [
        pytest.param(_begin_request, _append_request, part_of_request, id="request"),
        pytest.param(_begin_answer, _append_answer, part_of_answer, id="answer"),
    ],
)


def transfer(store: Store, append: Append, read: Read, data: bytes, *, piece: int) -> bytes:
    """Append pieces and read what is there, in turn, until all has passed: what a window asks for."""
    passed, stored, is_ended = bytearray(), 0, False
    while True:
        if not is_ended:
            end = min(stored + piece, len(data))
            is_last = end == len(data)
            reached = append(store, stored, data[stored:end], is_last)
            assert stored <= reached <= end
            is_ended, stored = is_last and reached == end, reached
        part = read(store, len(passed))
        if part is not None:
            assert part.offset == len(passed)
            passed += part.data
            if part.last:
                return bytes(passed)


class StreamContract:
    """A repeated write is harmless however it is cut; nothing is spliced, nothing is lost."""

    @STREAMS
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("piece", PIECES)
    def test_bodies_of_every_size_survive(
        self, store: Store, begin: Callable[[Store], None], append: Append, read: Read, size: int, piece: int
    ) -> None:
        data = random.Random(size).randbytes(size)
        begin(store)
        assert transfer(store, append, read, data, piece=piece) == data

    @STREAMS
    def test_a_large_body_passes_in_one_piece(
        self, store: Store, begin: Callable[[Store], None], append: Append, read: Read
    ) -> None:
        data = random.Random(1).randbytes(12_345_678)
        begin(store)
        assert transfer(store, append, read, data, piece=len(data)) == data

    @pytest.mark.parametrize("size", [0, 1, 1_000_000])
    def test_a_request_may_come_whole_with_the_exchange(self, store: Store, size: int) -> None:
        data = random.Random(size).randbytes(size)
        queued(store, request=data)
        assert everything(part_of_request, store) == data

    def test_bytes_that_are_no_text_survive(self, store: Store) -> None:
        data = bytes(range(256)) * 3
        fetched(store, request=data)
        answer(store, 0, data[::-1], last=True)
        assert everything(part_of_request, store) == data
        assert everything(part_of_answer, store) == data[::-1]

    def test_the_two_streams_do_not_meet(self, store: Store) -> None:
        store.put_backend(a_backend())
        store.add_exchange(an_exchange(), b"ask", last=False)
        store.fetch_exchange(BACKEND, REQUEST, agent_id="agent-1", now=NOW)
        answer(store, 0, b"say", last=True)
        store.append_request(BACKEND, REQUEST, 3, b"ing", last=True, now=NOW)
        assert everything(part_of_request, store) == b"asking"
        assert everything(part_of_answer, store) == b"say"

    def test_the_bytes_of_two_exchanges_do_not_meet(self, store: Store) -> None:
        fetched(store, "a", request=b"ask a")
        fetched(store, "a0", request=b"ask b")
        answer(store, 0, b"say a", last=True, request_id="a")
        answer(store, 0, b"say b", last=True, request_id="a0")
        assert everything(part_of_request, store, "a") == b"ask a"
        assert everything(part_of_answer, store, "a0") == b"say b"

    @STREAMS
    def test_nothing_is_read_before_it_is_there(
        self, store: Store, begin: Callable[[Store], None], append: Append, read: Read
    ) -> None:
        begin(store)
        assert read(store, 0) is None
        append(store, 0, b"some", False)
        assert read(store, 4) is None

    @STREAMS
    def test_appending_tells_how_far_it_is(
        self, store: Store, begin: Callable[[Store], None], append: Append, read: Read
    ) -> None:
        begin(store)
        assert append(store, 0, b"some", False) == 4
        assert append(store, 4, b"more", True) == 8

    @STREAMS
    def test_an_end_without_bytes_is_read(
        self, store: Store, begin: Callable[[Store], None], append: Append, read: Read
    ) -> None:
        begin(store)
        append(store, 0, b"some", False)
        append(store, 4, b"", True)
        assert read(store, 4) == Part(4, b"", last=True)

    @STREAMS
    def test_reading_the_end_again_is_the_end_again(
        self, store: Store, begin: Callable[[Store], None], append: Append, read: Read
    ) -> None:
        begin(store)
        append(store, 0, b"whole", True)
        assert read(store, 0) == Part(0, b"whole", last=True)
        assert read(store, 5) == Part(5, b"", last=True)
        assert read(store, 5) == Part(5, b"", last=True)

    @STREAMS
    def test_reading_again_gives_the_same_bytes(
        self, store: Store, begin: Callable[[Store], None], append: Append, read: Read
    ) -> None:
        begin(store)
        append(store, 0, b"some", False)
        assert read(store, 0) == read(store, 0)

    @STREAMS
    def test_any_offset_may_be_read(
        self, store: Store, begin: Callable[[Store], None], append: Append, read: Read
    ) -> None:
        begin(store)
        append(store, 0, b"abc", False)
        append(store, 3, b"def", True)
        for offset in range(6):
            part = read(store, offset)
            assert part is not None
            assert part.offset == offset
            assert b"abcdef".startswith(part.data, offset)
            assert part.data
            assert part.last == (part.end == 6)

    @STREAMS
    def test_reading_behind_the_stored_bytes_is_an_error(
        self, store: Store, begin: Callable[[Store], None], append: Append, read: Read
    ) -> None:
        begin(store)
        append(store, 0, b"some", False)
        with pytest.raises(ConflictingBytes):
            read(store, 5)

    # Repeated writes

    @STREAMS
    def test_a_repeated_part_changes_nothing(
        self, store: Store, begin: Callable[[Store], None], append: Append, read: Read
    ) -> None:
        begin(store)
        append(store, 0, b"some", False)
        assert append(store, 0, b"some", False) == 4
        assert append(store, 1, b"om", False) == 4
        append(store, 4, b"more", True)
        assert append(store, 0, b"somemore", True) == 8
        assert append(store, 4, b"more", False) == 8
        assert read_all(read, store) == b"somemore"

    @STREAMS
    @pytest.mark.parametrize("seed", range(RETRIES))
    def test_retries_may_be_cut_anywhere(
        self, store: Store, begin: Callable[[Store], None], append: Append, read: Read, seed: int
    ) -> None:
        chance = random.Random(seed)
        data = chance.randbytes(chance.randint(0, 60))
        begin(store)
        stored, is_ended = 0, False
        while not is_ended:
            start = chance.randint(0, stored)
            end = chance.randint(start, len(data))
            is_last = end == len(data)
            if is_last or end > start:
                reached = append(store, start, data[start:end], is_last)
                assert reached == max(stored, end)
                stored, is_ended = reached, is_last
            if chance.random() < 0.5:
                # A response that was lost on the way: the same again, cut elsewhere.
                again = chance.randint(0, stored)
                assert append(store, again, data[again:stored], is_ended) == stored
        assert read_all(read, store) == data

    @STREAMS
    def test_bytes_that_differ_are_refused(
        self, store: Store, begin: Callable[[Store], None], append: Append, read: Read
    ) -> None:
        begin(store)
        append(store, 0, b"some", False)
        append(store, 4, b"more", False)
        for offset, data in ((0, b"Some"), (3, b"x"), (3, b"eM"), (6, b"RE and more")):
            with pytest.raises(ConflictingBytes):
                append(store, offset, data, False)
        append(store, 8, b"", True)
        assert read_all(read, store) == b"somemore"

    @STREAMS
    def test_a_gap_is_refused(self, store: Store, begin: Callable[[Store], None], append: Append, read: Read) -> None:
        begin(store)
        append(store, 0, b"some", False)
        with pytest.raises(ConflictingBytes):
            append(store, 5, b"more", True)
        assert read(store, 4) is None

    @STREAMS
    def test_nothing_comes_behind_the_end(
        self, store: Store, begin: Callable[[Store], None], append: Append, read: Read
    ) -> None:
        begin(store)
        append(store, 0, b"whole", True)
        with pytest.raises(ConflictingBytes):
            append(store, 5, b" and more", True)
        with pytest.raises(ConflictingBytes):
            append(store, 0, b"whole and more", False)
        assert read_all(read, store) == b"whole"

    @STREAMS
    def test_an_end_before_the_stored_bytes_is_refused(
        self, store: Store, begin: Callable[[Store], None], append: Append, read: Read
    ) -> None:
        begin(store)
        append(store, 0, b"some", False)
        with pytest.raises(ConflictingBytes):
            append(store, 0, b"so", True)
        assert read(store, 4) is None

    def test_a_refused_part_of_an_answer_leaves_the_state(self, store: Store) -> None:
        exchange = fetched(store)
        with pytest.raises(ConflictingBytes):
            answer(store, 1, b"gap", last=True)
        assert store.read_answer(BACKEND, REQUEST, 0).exchange == exchange


def read_all(read: Read, store: Store) -> bytes:
    """All bytes of a stream that has ended."""
    return everything(lambda of, offset, _: read(of, offset), store)
