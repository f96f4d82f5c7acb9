from collections.abc import Collection, Hashable

from broker.waiting import PendingKey
from stores.shared.queue_looks import QueueLooks
from tests.factories import BACKEND, seconds
from wire.protocol import BackendId, RequestId

KEY = PendingKey(BACKEND)
ONE = [RequestId("request-1")]


class Queue:
    """A backend's mark, the time, and the looks at it."""

    def __init__(self, mark: Hashable | None = "first") -> None:
        self.mark = mark
        self.seconds = 0.0
        self.looks = QueueLooks(
            lambda key: self.mark,
            counts_for=seconds(2.5),
            counts_without_mark_for=seconds(0.015),
            names_last_for=seconds(1),
            monotonic=lambda: self.seconds,
        )

    def look(self, key: PendingKey = KEY, *, named: Collection[RequestId] = ()) -> bool:
        """True where there was one, which took all."""
        look = self.looks.begin(key)
        if look is not None:
            self.looks.took_all(key, look, named=named)
        return look is not None


def test_after_a_look_that_took_all_the_next_is_spared_until_the_mark_is_another() -> None:
    queue = Queue()
    assert queue.look()
    assert not queue.look()

    queue.mark = "second"
    assert queue.look()


def test_what_came_during_a_look_is_looked_for() -> None:
    queue = Queue()
    look = queue.looks.begin(KEY)
    assert look is not None
    queue.mark = "during it"
    queue.looks.took_all(KEY, look, named=())

    assert queue.look()


def test_a_look_that_left_something_spares_none() -> None:
    queue = Queue()
    queue.looks.begin(KEY)

    assert queue.look()


def test_a_look_counts_for_a_while() -> None:
    queue = Queue()
    queue.look()
    queue.seconds = 2.4
    assert not queue.look()

    queue.seconds = 2.6
    assert queue.look()


def test_without_a_mark_a_look_counts_for_a_moment() -> None:
    queue = Queue(mark=None)
    queue.look()
    queue.seconds = 0.01
    assert not queue.look()

    queue.seconds = 0.02
    assert queue.look()


def test_one_that_was_evicted_is_no_mark() -> None:
    queue = Queue()
    queue.look()
    queue.mark = None

    assert queue.look()


def test_backends_are_apart() -> None:
    queue = Queue()
    queue.look()

    assert queue.look(PendingKey(BackendId("another")))


def test_what_was_named_and_not_fetched_is_looked_for_again_when_it_may_be_named_again() -> None:
    queue = Queue()
    queue.look(named=ONE)
    queue.seconds = 0.9
    assert not queue.look()

    queue.seconds = 1.0
    assert queue.look()
    queue.seconds = 2.0
    assert not queue.look()


def test_what_was_named_and_fetched_spares_the_look_after_it() -> None:
    queue = Queue()
    queue.looks.fetched(KEY, *ONE)
    queue.look(named=ONE)
    queue.looks.fetched(KEY, RequestId("another"))
    queue.looks.fetched(KEY, *ONE)
    queue.seconds = 1.0

    assert not queue.look()


def test_what_was_named_before_the_last_look_is_looked_for_no_later_for_that() -> None:
    queue = Queue()
    queue.look(named=ONE)
    queue.seconds, queue.mark = 0.9, "second"
    assert queue.look()

    queue.seconds = 1.0
    assert queue.look()
