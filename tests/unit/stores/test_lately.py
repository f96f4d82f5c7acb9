"""`stores.lately`: what is remembered, how long, and how much of it."""

from collections.abc import Callable

import pytest

from broker.model import BackendStatus
from broker.policy import Policy
from stores.lately import MEMORY_SECONDS, Lately, Notes
from tests.factories import BACKEND, seconds
from tests.fakes.clock import NOON
from wire.protocol import BackendId

SPACING = Policy().touch_spacing


def a_memory(monotonic: Callable[[], float] = lambda: 0.0) -> Lately[int, str]:
    return Lately(monotonic)


def test_what_was_read_is_remembered_for_a_second_and_no_longer() -> None:
    now = 0.0
    memory = a_memory(lambda: now)
    memory.put(1, "one", ticket=memory.ticket())
    now = MEMORY_SECONDS - 0.01
    assert memory.get(1) == "one"
    now = MEMORY_SECONDS
    assert memory.get(1) is None


def test_what_was_read_before_a_change_is_not_remembered_after_it() -> None:
    memory = a_memory()
    memory.put(1, "one", ticket=memory.ticket())
    ticket = memory.ticket()
    memory.clear()
    memory.put(2, "two", ticket=ticket)
    assert (memory.get(1), memory.get(2)) == (None, None)


def test_no_more_is_remembered_than_there_is_room_for() -> None:
    memory = a_memory()
    for number in range(2500):
        memory.put(number, "x", ticket=memory.ticket())
    assert memory.get(2499) == "x"
    assert sum(memory.get(number) is not None for number in range(2500)) <= 1000


@pytest.mark.parametrize("what", ["polled", "used"])
def test_a_moment_is_noted_again_after_the_spacing(what: str) -> None:
    notes = Notes(Policy())
    notes.add(BACKEND, BackendStatus(last_polled=NOON, last_used=NOON))
    assert notes.unless_noted(BACKEND, what, NOON + SPACING - seconds(0.001)) is None
    assert notes.unless_noted(BACKEND, what, NOON + SPACING) == NOON + SPACING


def test_a_note_of_one_kind_is_none_of_the_other() -> None:
    notes = Notes(Policy())
    notes.add(BACKEND, BackendStatus(last_polled=NOON))
    assert notes.unless_noted(BACKEND, "polled", NOON) is None
    assert notes.unless_noted(BACKEND, "used", NOON) == NOON


def test_what_was_dropped_is_noted_again() -> None:
    notes = Notes(Policy())
    notes.add(BACKEND, BackendStatus(last_polled=NOON, last_used=NOON))
    notes.drop(BACKEND)
    assert notes.unless_noted(BACKEND, "polled", NOON) == NOON


def test_no_more_notes_are_kept_than_there_is_room_for() -> None:
    notes = Notes(Policy())
    names = [BackendId(f"backend-{number}") for number in range(12_000)]
    for name in names:
        notes.add(name, BackendStatus(last_polled=NOON))
    assert notes.unless_noted(names[-1], "polled", NOON) is None
    assert sum(notes.unless_noted(name, "polled", NOON) is None for name in names) <= 10_000
