"""`stores.datastore.lately`: what is remembered, how long, and how much of it."""

from collections.abc import Callable

from broker.policy import Policy
from stores.datastore.lately import Lately

POLICY = Policy()


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
