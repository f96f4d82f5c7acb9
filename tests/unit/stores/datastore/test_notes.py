"""`stores.datastore.notes`: when it is time to note something again."""

import pytest

from broker.model import BackendStatus
from broker.policy import Policy
from stores.datastore.notes import NOTHING, Notes
from tests.factories import BACKEND, seconds
from tests.fakes.clock import NOON
from wire.protocol import BackendId

POLICY = Policy()
SPACING = POLICY.touch_spacing
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
