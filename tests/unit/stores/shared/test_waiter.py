import threading
import time
from collections.abc import Collection, Hashable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from broker.policy import Policy
from broker.waiting import ExchangeKey, Key, PendingKey, Wait
from stores.shared.waiter import SharedWaiter
from tests.factories import BACKEND, REQUEST, seconds
from wire.protocol import RequestId

NEVER = seconds(3600)
PATIENT = Policy(poll_fastest=NEVER, poll_slowest=NEVER, poll_idle=NEVER, hint_fastest=NEVER, hint_slowest=NEVER)
"""Nobody looks or asks by himself within a test."""

QUICK = Policy(poll_fastest=seconds(0.001), poll_slowest=seconds(0.001), poll_idle=seconds(0.001))
LOOKS = Policy(hinted_slowest=NEVER, hinted_idle=NEVER, hint_fastest=seconds(0.001), hint_slowest=seconds(0.001))
KEY = ExchangeKey(REQUEST)
PENDING = PendingKey(BACKEND)


class FakeMarks:
    """`Marks` that a test sets; None for nobody there."""

    def __init__(self, marks: dict[Key, Hashable] | None) -> None:
        self.marks = marks
        self.asked: list[set[Key]] = []

    def read(self, keys: Collection[Key]) -> Mapping[Key, Hashable] | None:
        self.asked.append(set(keys))
        return None if self.marks is None else {key: self.marks[key] for key in keys if key in self.marks}


class WatchedClock:
    """The time, which each thread looks at when it lies down, and again when it falls asleep."""

    def __init__(self) -> None:
        self._looks = threading.Semaphore(0)

    def __call__(self) -> float:
        self._looks.release()
        return time.monotonic()

    def wait_until_one_sleeps(self) -> None:
        for _ in ("lies down", "sleeps"):
            assert self._looks.acquire(timeout=20)


def a_wait(key: Key, waited: float = 0) -> Wait:
    return Wait(key, seconds(30), seconds(waited))


def asleep(pool: ThreadPoolExecutor, waiter: SharedWaiter, key: Key, *, waited: float = 0) -> "Future[None]":
    """A thread that waits, begun."""
    ticket = waiter.ticket()
    begun = threading.Event()

    def sleep() -> None:
        begun.set()
        waiter.wait(a_wait(key, waited), ticket=ticket)

    future = pool.submit(sleep)
    assert begun.wait(10)
    return future


def test_what_is_learned_after_the_ticket_is_not_slept_through() -> None:
    waiter = SharedWaiter(PATIENT)
    ticket = waiter.ticket()
    waiter.wake(KEY)

    began = time.monotonic()
    waiter.wait(a_wait(KEY), ticket=ticket)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("key", [KEY, PENDING])
def test_what_this_process_learns_wakes_whoever_waits_for_it(key: Key) -> None:
    waiter = SharedWaiter(PATIENT)
    with ThreadPoolExecutor(1) as pool:
        sleeping = asleep(pool, waiter, key)
        waiter.wake(key)
        sleeping.result(20)


def test_where_a_key_stands_wakes_when_it_is_learned_and_not_again() -> None:
    waiter = SharedWaiter(PATIENT, store_marks=FakeMarks({}))
    ticket = waiter.ticket()
    waiter.learn(KEY, 1)
    waiter.wait(a_wait(KEY), ticket=ticket)
    later = waiter.ticket()
    waiter.learn(KEY, 1)
    assert waiter.ticket() == later > ticket


def test_what_is_learned_of_the_store_makes_no_news_of_what_stood_in_the_cache() -> None:
    hints = FakeMarks({KEY: b"1"})
    waiter = SharedWaiter(LOOKS, store_marks=FakeMarks({}), hints=hints)
    waiter.read_hint(KEY)
    waiter.learn(KEY, 1)
    with ThreadPoolExecutor(1) as pool:
        sleeping = asleep(pool, waiter, KEY)
        while len(hints.asked) < 4:
            threading.Event().wait(0.001)
        assert not sleeping.done()
        waiter.wake(KEY)
        sleeping.result(20)


def test_a_poll_that_sleeps_for_long_asks_soon_where_something_is_to_be_expected() -> None:
    clock = WatchedClock()
    waiter = SharedWaiter(Policy(poll_fastest=seconds(0.001), poll_idle=NEVER), monotonic=clock)
    with ThreadPoolExecutor(1) as pool:
        sleeping = asleep(pool, waiter, PENDING)
        clock.wait_until_one_sleeps()
        waiter.expect(PENDING)
        sleeping.result(20)


def test_who_waits_alone_asks_the_store_and_nobody_looks_for_it() -> None:
    marks = FakeMarks({})
    SharedWaiter(QUICK, store_marks=marks).wait(a_wait(KEY), ticket=0)

    assert marks.asked == []


def test_those_that_are_due_together_are_looked_for_in_one_call_and_only_those_with_news_wake() -> None:
    keys = [ExchangeKey(RequestId(f"request-{number}")) for number in range(8)]
    marks = FakeMarks({keys[0]: 1})
    policy = Policy(poll_fastest=seconds(0.2), poll_slowest=seconds(0.2))
    waiter = SharedWaiter(policy, store_marks=marks)
    with ThreadPoolExecutor(8) as pool:
        sleeping = [asleep(pool, waiter, key) for key in keys]
        sleeping[0].result(20)
        others = [each.done() for each in sleeping[1:]]
        marks.marks = None  # from now on each asks for itself
        for each in sleeping:
            each.result(20)

    assert others == [False] * 7
    assert max(len(asked) for asked in marks.asked) > 1


def test_news_of_hints_wakes_and_old_news_does_not() -> None:
    hints = FakeMarks({KEY: b"1"})
    waiter = SharedWaiter(LOOKS, hints=hints)
    waiter.wait(a_wait(KEY), ticket=waiter.ticket())
    with ThreadPoolExecutor(1) as pool:
        sleeping = asleep(pool, waiter, KEY)
        looked = len(hints.asked)
        while len(hints.asked) < looked + 3:
            threading.Event().wait(0.001)
        assert not sleeping.done()
        hints.marks = {KEY: b"2"}
        sleeping.result(20)


def test_a_hint_that_is_read_by_who_is_going_to_ask_wakes_nobody() -> None:
    hints = FakeMarks({KEY: b"1"})
    waiter = SharedWaiter(LOOKS, hints=hints)
    assert waiter.read_hint(KEY) == b"1"
    with ThreadPoolExecutor(1) as pool:
        sleeping = asleep(pool, waiter, KEY)
        while len(hints.asked) < 4:
            threading.Event().wait(0.001)
        assert not sleeping.done()
        waiter.wake(KEY)
        sleeping.result(20)


@pytest.mark.parametrize("hints", [None, FakeMarks(None), FakeMarks({})])
def test_where_no_hint_says_where_a_key_stands_nobody_knows(hints: FakeMarks | None) -> None:
    assert SharedWaiter(LOOKS, hints=hints).read_hint(KEY) is None


def test_without_the_cache_everybody_asks_the_store() -> None:
    waiter = SharedWaiter(
        Policy(poll_fastest=seconds(0.001), poll_slowest=seconds(0.01), hint_fastest=seconds(0.001)),
        hints=FakeMarks(None),
    )
    began = time.monotonic()
    waiter.wait(a_wait(KEY), ticket=waiter.ticket())

    assert time.monotonic() - began < 20


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(3) as pool:
        yield pool


class Polls:
    """Three polls of a backend that sleep, of which the second has begun last, and which of them has ended when."""

    def __init__(self, pool: ThreadPoolExecutor, policy: Policy) -> None:
        self.ended: list[int] = []
        clock = WatchedClock()
        self.waiter = SharedWaiter(policy, monotonic=clock)
        self._sleeping = {}
        for waited in (10, 0, 20):
            sleeping = asleep(pool, self.waiter, PENDING, waited=waited)
            sleeping.add_done_callback(lambda _, waited=waited: self.ended.append(waited))  # type: ignore[misc]
            self._sleeping[waited] = sleeping
            clock.wait_until_one_sleeps()

    def wait_for(self, waited: int) -> None:
        self._sleeping[waited].result(20)


def test_of_many_polls_of_a_backend_one_is_woken_at_a_time_the_newest_first(pool: ThreadPoolExecutor) -> None:
    """Behind an older one there may be no agent any more."""
    polls = Polls(pool, PATIENT)
    for waited in (0, 10, 20):
        polls.waiter.wake(PENDING)
        polls.wait_for(waited)
    assert polls.ended == [0, 10, 20]


def test_of_many_polls_of_a_backend_the_newest_asks_whoever_is_due(pool: ThreadPoolExecutor) -> None:
    polls = Polls(pool, Policy(poll_idle=seconds(0.2)))
    polls.wait_for(20)
    assert polls.ended == [0, 10, 20]


def test_of_many_polls_of_a_backend_the_newest_asks_where_something_is_to_be_expected(
    pool: ThreadPoolExecutor,
) -> None:
    polls = Polls(pool, Policy(poll_fastest=seconds(0.001), poll_idle=NEVER))
    polls.waiter.expect(PENDING)
    polls.wait_for(0)
    assert polls.ended == [0]
    for waited in (10, 20):
        polls.waiter.wake(PENDING)
        polls.wait_for(waited)
