"""`stores.lately`: what is remembered, how long, and how much of it."""

from collections.abc import Callable

import pytest

from broker.model import BackendStatus
from broker.policy import Policy
from stores.lately import NOTHING, Lately, Notes
from tests.factories import BACKEND, seconds
from tests.fakes.clock import NOON
from wire.protocol import BackendId

POLICY = Policy()
SPACING = POLICY.touch_spacing


def a_memory(monotonic: Callable[[], float] = lambda: 0.0) -> Lately[int, str]:
    return Lately(POLICY, monotonic)


def test_what_was_read_is_remembered_for_its_age_and_no_longer() -> None:
    now = 0.0
    memory = a_memory(lambda: now)
    memory.put(1, "one", ticket=memory.ticket())
    now = POLICY.backends_age.total_seconds() * 0.79
    assert memory.get(1) == "one"
    now = POLICY.backends_age.total_seconds()
    assert memory.get(1) is None


def test_before_it_is_too_old_one_of_those_who_ask_is_sent_to_read_it_again() -> None:
    now = 0.0
    memory = a_memory(lambda: now)
    memory.put(1, "one", ticket=memory.ticket())
    now = POLICY.backends_age.total_seconds() * 0.81
    assert [memory.get(1) for _ in range(3)] == [None, "one", "one"]
    memory.put(1, "new", ticket=memory.ticket())
    now += POLICY.backends_age.total_seconds() * 0.81
    assert [memory.get(1) for _ in range(3)] == [None, "new", "new"]


def test_what_nobody_could_read_again_is_remembered_for_its_age_and_no_longer() -> None:
    now = 0.0
    memory = a_memory(lambda: now)
    memory.put(1, "one", ticket=memory.ticket())
    now = POLICY.backends_age.total_seconds() - 0.01
    assert [memory.get(1) for _ in range(2)] == [None, "one"]
    now = POLICY.backends_age.total_seconds()
    assert memory.get(1) is None


def test_what_was_read_before_a_change_is_not_remembered_after_it() -> None:
    memory = a_memory()
    memory.put(1, "one", ticket=memory.ticket())
    ticket = memory.ticket()
    memory.clear()
    memory.put(2, "two", ticket=ticket)
    assert (memory.get(1), memory.get(2)) == (None, None)


def test_what_was_read_of_one_before_it_changed_is_not_remembered_and_the_others_are() -> None:
    memory = a_memory()
    for number in (1, 2):
        memory.put(number, "x", ticket=memory.ticket())
    ticket = memory.ticket()
    memory.drop(1)
    memory.put(1, "old", ticket=ticket)
    assert (memory.get(1), memory.get(2)) == (None, "x")


def test_no_more_is_remembered_than_there_is_room_for() -> None:
    memory = a_memory()
    for number in range(2500):
        memory.put(number, "x", ticket=memory.ticket())
    assert memory.get(2499) == "x"
    assert sum(memory.get(number) is not None for number in range(2500)) <= 1000


POLLED = BackendStatus(last_polled=NOON)


@pytest.mark.parametrize("what", BackendStatus._fields)
def test_a_moment_is_noted_again_after_the_spacing(what: str) -> None:
    notes = Notes(POLICY)
    notes.add(BACKEND, BackendStatus(NOON, NOON))
    early, late = (NOTHING._replace(**{what: NOON + SPACING - early}) for early in (seconds(0.001), seconds(0)))
    assert notes.reserve(BACKEND, early) == NOTHING
    assert notes.reserve(BACKEND, late) == late


def test_what_is_reserved_is_for_nobody_else_to_note() -> None:
    notes = Notes(POLICY)
    assert notes.reserve(BACKEND, POLLED) == POLLED
    assert notes.reserve(BACKEND, POLLED) == NOTHING


def test_a_note_of_one_kind_is_none_of_the_other() -> None:
    notes = Notes(POLICY)
    notes.add(BACKEND, POLLED)
    used = BackendStatus(last_used=NOON)
    assert notes.reserve(BACKEND, BackendStatus(NOON, NOON)) == used
    assert notes.reserve(BACKEND, BackendStatus(NOON, NOON)) == NOTHING


def test_what_was_dropped_is_noted_again() -> None:
    notes = Notes(POLICY)
    notes.reserve(BACKEND, POLLED)
    notes.drop(BACKEND)
    assert notes.reserve(BACKEND, POLLED) == POLLED


def test_no_more_notes_are_kept_than_there_is_room_for() -> None:
    notes = Notes(POLICY)
    names = [BackendId(f"backend-{number}") for number in range(12_000)]
    for name in names:
        notes.add(name, POLLED)
    assert notes.reserve(names[-1], POLLED) == NOTHING
    assert sum(notes.reserve(name, POLLED) == NOTHING for name in reversed(names)) <= 10_000
