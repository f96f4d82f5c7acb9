"""`proxy_service.removals`: gathered, bounded, and nothing goes wrong where the store fails."""

import logging
from collections.abc import Sequence
from queue import Queue
from threading import Event, Thread, current_thread, main_thread

import pytest

from broker.errors import StoreUnavailable
from broker.model import Exchange
from proxy_service.removals import Removals
from tests.factories import an_exchange
from tests.timing import SECOND, wait_until


class Store:
    """Tells what is removed."""

    def __init__(self) -> None:
        self._removed: Queue[list[str]] = Queue()

    def remove(self, exchanges: Sequence[Exchange]) -> None:
        self._removed.put([each.request_id for each in exchanges])

    def next_removed(self) -> list[str]:
        return self._removed.get(timeout=10 * SECOND)


def test_what_comes_together_is_removed_in_one_call() -> None:
    store = Store()
    removals = Removals(store.remove, gathering=60)
    names = [f"request-{number}" for number in range(100)]
    for name in names:
        removals.add(an_exchange(name))
    assert store.next_removed() == names
    for name in names:  # nobody waits for more
        removals.add(an_exchange(name))
    assert store.next_removed() == names


def test_few_do_not_wait_for_long_and_the_thread_begins_again() -> None:
    store = Store()
    removals = Removals(store.remove, gathering=0.001)
    for name in ("one", "two"):
        removals.add(an_exchange(name))
        assert store.next_removed() == [name]


def test_a_thread_that_could_not_be_started_is_started_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    store = Store()
    removals = Removals(store.remove, gathering=0.001)
    with monkeypatch.context() as patching:
        patching.setattr(Thread, "start", fail)
        with pytest.raises(RuntimeError):
            removals.add(an_exchange("one"))
    removals.add(an_exchange("two"))
    assert store.next_removed() == ["one", "two"]


def test_beyond_the_bound_whoever_brings_one_removes_it() -> None:
    began, may_end, removed_here = Event(), Event(), list[str]()

    def remove(exchanges: Sequence[Exchange]) -> None:
        if current_thread() is main_thread():
            removed_here.extend(each.request_id for each in exchanges)
        else:
            began.set()
            may_end.wait(10 * SECOND)

    removals = Removals(remove, gathering=0.001)
    removals.add(an_exchange())
    assert began.wait(10 * SECOND)
    for number in range(1_002):
        removals.add(an_exchange(f"request-{number}"))
    may_end.set()
    assert removed_here == ["request-1000", "request-1001"]


@pytest.mark.parametrize("error", [StoreUnavailable("away"), RuntimeError("a fault")])
def test_a_store_that_fails_is_logged_and_asked_again_for_the_next(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    asked: Queue[int] = Queue()

    def fail(exchanges: Sequence[Exchange]) -> None:
        asked.put(len(exchanges))
        raise error

    removals = Removals(fail, gathering=0.001)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            removals.add(an_exchange())
            assert asked.get(timeout=10 * SECOND) == 1
    wait_until(lambda: len(caplog.records) == 2, within=10 * SECOND, what="two lines in the log")


def test_what_a_store_did_not_take_goes_once_it_takes_something_again() -> None:
    store, refused = Store(), Store()
    left = ["one", "two"]

    def remove(exchanges: Sequence[Exchange]) -> None:
        if exchanges[0].request_id in left:
            left.remove(exchanges[0].request_id)
            refused.remove(exchanges)
            raise StoreUnavailable("away")
        store.remove(exchanges)

    removals = Removals(remove, gathering=0.001)
    for name in ("one", "two"):
        removals.add(an_exchange(name))
        assert refused.next_removed() == [name]
    removals.add(an_exchange("three"))
    assert [store.next_removed(), store.next_removed()] == [["three"], ["one", "two"]]


def test_of_what_a_store_did_not_take_the_last_are_tried_again_and_only_once() -> None:
    tried: Queue[int] = Queue()

    def remove(exchanges: Sequence[Exchange]) -> None:
        tried.put(len(exchanges))
        if exchanges[-1].request_id != "back":
            raise StoreUnavailable("away")

    removals = Removals(remove, gathering=60)
    for _ in range(12):
        for number in range(100):
            removals.add(an_exchange(f"request-{number}"))
        assert tried.get(timeout=10 * SECOND) == 100
    for expected in ([100, 1_000], [100], [100]):
        for _ in range(100):
            removals.add(an_exchange("back"))
        assert [tried.get(timeout=10 * SECOND) for _ in expected] == expected
