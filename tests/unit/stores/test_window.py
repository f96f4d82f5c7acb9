"""Pieces in any cut are the bytes that they were, and cost little more than those."""

import random
import tracemalloc

import pytest

from broker.errors import ConflictingBytes
from stores.window import Window

KIB = 1 << 10
DATA = random.Random(1).randbytes(1_000_000)


@pytest.mark.parametrize("seed", range(30))
def test_bytes_pass_however_they_are_cut_repeated_and_read(seed: int) -> None:
    chance = random.Random(seed)
    window, stored, passed = Window(chance.choice([100, 5_000, 100_000])), 0, bytearray()
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
    window = Window(1 << 20)
    piece = DATA[: 100 * KIB]
    window.append(0, b"head", last=False)
    window.append(4, piece, last=False)

    part = window.read(4)

    assert part is not None
    assert part.data is piece


def test_a_reader_that_lags_behind_gets_some_pieces_together() -> None:
    window = Window(1 << 20)
    for offset in range(0, 600 * KIB, 6 * KIB):
        window.append(offset, DATA[offset : offset + 6 * KIB], last=False)

    part = window.read(12 * KIB)

    assert part is not None
    assert part.data == DATA[12 * KIB : 78 * KIB]


def test_the_end_is_told_with_the_last_bytes_and_not_before() -> None:
    window = Window(1 << 20)
    window.append(0, DATA[: 100 * KIB], last=False)
    window.append(100 * KIB, b"rest", last=True)

    parts = [window.read(offset) for offset in (0, 100 * KIB, 100 * KIB + 4)]

    assert [part and (len(part.data), part.last) for part in parts] == [(100 * KIB, False), (4, True), (0, True)]


@pytest.mark.parametrize("offset", [3, 13])
def test_what_is_forgotten_or_not_there_yet_cannot_be_read(offset: int) -> None:
    window = Window(8)
    window.append(0, b"01234567", last=False)
    window.read(4)
    window.append(8, b"8901", last=False)

    with pytest.raises(ConflictingBytes):
        window.read(offset)


def test_many_small_writes_cost_little_more_than_their_bytes() -> None:
    tracemalloc.start()
    window = Window(100 * KIB)
    for offset in range(100 * KIB):
        window.append(offset, b"x", last=False)
    current, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert current < 120 * KIB
