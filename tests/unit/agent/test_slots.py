"""The slots of one backend."""

import pytest

from agent.slots import Slots, yielding


def test_what_runs_and_what_is_promised_is_not_free() -> None:
    slots = Slots(4)
    slots.running += 1
    slots.promise(2)
    assert slots.free == 1
    slots.promise(-2)
    assert slots.free == 3


def test_what_waits_is_free_until_it_goes_on() -> None:
    slots = Slots(1)
    slots.running += 1
    assert (slots.begin_waiting(), slots.free) == (True, 1)
    slots.end_waiting()
    assert slots.free == 0


def test_beyond_its_limit_a_request_that_waits_keeps_its_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.slots.MOST_YIELDED", 1)
    slots = Slots(4)
    began = [slots.begin_waiting(), slots.begin_waiting()]
    slots.end_waiting()
    assert (began, slots.begin_waiting()) == ([True, False], True)


def test_elsewhere_yielding_does_nothing() -> None:
    with yielding():
        pass
