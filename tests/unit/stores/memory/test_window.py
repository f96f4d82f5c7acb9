"""Pieces in any cut are the bytes that they were, and cost little more than those."""

import random
import tracemalloc

import pytest

from broker.errors import ConflictingBytes
from stores.memory.window import Memory, Window

KIB = 1 << 10
PLENTY = 1 << 30
DATA = random.Random(1).randbytes(1_000_000)


def a_window(size: int = 1 << 20, memory: Memory | None = None) -> Window:
    return Window(size, memory or Memory(PLENTY))


@pytest.mark.parametrize("seed", range(30))
def test_bytes_pass_however_they_are_cut_repeated_and_read(seed: int) -> None:
    chance = random.Random(seed)
    window, stored, passed = a_window(chance.choice([100, 5_000, 100_000])), 0, bytearray()
    while len(passed) < len(DATA):
        start = max(0, stored - chance.choice([0, 0, 0, 50]))
        end = stored + int(2 ** chance.uniform(0, 17))
        try:
            stored = window.append(start, DATA[start:end], last=end >= len(DATA))
        except ConflictingBytes:
            assert start < stored  # repeated, and forgotten since
        part = window.read(len(passed)) if chance.random() < 0.7 else None
        if part is not None:
            passed += part.data[: chance.randrange(1, len(part.data) + 1)]

    assert bytes(passed) == DATA


def test_a_long_piece_passes_without_being_copied() -> None:
    window = a_window()
    piece = DATA[: 100 * KIB]
    window.append(0, b"head", last=False)
    window.append(4, piece, last=False)

    part = window.read(4)

    assert part is not None
    assert part.data is piece


def test_a_reader_that_lags_behind_gets_some_pieces_together() -> None:
    window = a_window()
    for offset in range(0, 600 * KIB, 6 * KIB):
        window.append(offset, DATA[offset : offset + 6 * KIB], last=False)

    part = window.read(12 * KIB)

    assert part is not None
    assert part.data == DATA[12 * KIB : 78 * KIB]


def test_the_end_is_told_with_the_last_bytes_and_not_before() -> None:
    window = a_window()
    window.append(0, DATA[: 100 * KIB], last=False)
    window.append(100 * KIB, b"rest", last=True)

    parts = [window.read(offset) for offset in (0, 100 * KIB, 100 * KIB + 4)]

    assert [part and (len(part.data), part.last) for part in parts] == [(100 * KIB, False), (4, True), (0, True)]


@pytest.mark.parametrize("offset", [3, 13])
def test_what_is_forgotten_or_not_there_yet_cannot_be_read(offset: int) -> None:
    window = a_window(8)
    window.append(0, b"01234567", last=False)
    window.read(4)
    window.append(8, b"8901", last=False)

    with pytest.raises(ConflictingBytes):
        window.read(offset)


def test_many_small_writes_cost_little_more_than_their_bytes() -> None:
    tracemalloc.start()
    window = a_window(100 * KIB)
    for offset in range(100 * KIB):
        window.append(offset, b"x", last=False)
    current, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert current < 120 * KIB


def test_a_window_holds_no_more_than_an_eighth_of_what_is_free() -> None:
    memory = Memory(800 * KIB)
    windows = [a_window(memory=memory) for _ in range(20)]
    taken = [window.append(0, DATA, last=False) for window in windows]

    assert taken[0] == 100 * KIB
    assert taken == sorted(taken, reverse=True)
    assert memory.held == sum(taken) < 800 * KIB


def test_every_message_gets_on_however_little_there_is() -> None:
    memory = Memory(0)
    window, passed = a_window(memory=memory), bytearray()
    while len(passed) < 100 * KIB:
        window.append(len(passed), DATA[len(passed) : 100 * KIB], last=True)
        part = window.read(len(passed))
        passed += part.data if part else b""

    assert passed == DATA[: 100 * KIB]
    assert memory.held <= 16 * KIB


def test_a_window_that_has_shrunk_takes_nothing_until_it_is_read() -> None:
    memory = Memory(800 * KIB)
    window = a_window(memory=memory)
    window.append(0, DATA[: 100 * KIB], last=False)
    memory.held += 600 * KIB

    assert window.append(100 * KIB, b"more", last=False) == 100 * KIB
    window.read(99 * KIB)
    assert window.append(100 * KIB, b"more", last=False) == 100 * KIB + 4


def test_what_is_closed_gives_its_memory_back() -> None:
    memory = Memory(PLENTY)
    window = a_window(memory=memory)
    window.append(0, DATA[: 100 * KIB], last=False)
    window.read(50 * KIB)
    window.close()

    assert memory.held == 0


def test_a_stream_that_has_passed_its_window_keeps_nothing_that_was_read() -> None:
    memory = Memory(PLENTY)
    window = a_window(10 * KIB, memory)
    for offset in range(0, 100 * KIB, KIB):
        window.append(offset, DATA[offset : offset + KIB], last=False)
        window.read(offset + KIB)

    assert memory.held == 0
