from collections.abc import Callable
from datetime import timedelta

import pytest

from broker.errors import BackendOffline, NoAnswer
from broker.model import Answer, Part
from broker.policy import Policy
from broker.waiting import drive, wait_for_answer
from stores.memory.store import MemoryStore
from tests.factories import BACKEND, REQUEST, an_exchange, seconds
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.waiter import ScriptedWaiter
from wire.protocol import BackendId, RequestId


class SlowStore(MemoryStore):
    """Takes 20 s to read an answer for the first time; then something happens at once."""

    def __init__(self, clock: FakeClock, then: Callable[[MemoryStore], object]) -> None:
        super().__init__(Policy())
        self._clock = clock
        self._then: Callable[[MemoryStore], object] | None = then

    def read_answer(self, backend_id: BackendId, request_id: RequestId, offset: int) -> Answer:
        answer, then = super().read_answer(backend_id, request_id, offset), self._then
        if then is not None:
            self._then = None
            self._clock.advance(seconds(20))
            then(self)
        return answer


def test_what_was_taken_in_time_after_it_was_read_is_waited_for() -> None:
    def take_and_answer(store: MemoryStore) -> None:
        store.fetch_exchange(BACKEND, REQUEST, agent_id="a", now=NOON + seconds(14))
        store.append_answer(BACKEND, REQUEST, 0, b"say", agent_id="a", last=True, now=NOON + seconds(19))

    clock = FakeClock()
    store, exchange = SlowStore(clock, take_and_answer), an_exchange()
    store.add_exchange(exchange, b"ask", last=True)

    waiting = wait_for_answer(store, clock, Policy(), exchange, 0)
    assert drive(waiting, ScriptedWaiter(clock)) == Part(0, b"say", last=True)


def test_what_was_not_taken_when_it_was_read_too_late_is_given_up_without_another_look() -> None:
    clock = FakeClock(NOON + seconds(15))
    store, exchange = MemoryStore(Policy()), an_exchange()
    store.add_exchange(exchange, b"ask", last=True)
    waiter = ScriptedWaiter(clock)

    with pytest.raises(BackendOffline, match="no agent took the request in time"):
        drive(wait_for_answer(store, clock, Policy(), exchange, 0), waiter)
    assert waiter.waits == []


def test_a_request_that_is_still_being_sent_is_not_late() -> None:
    """The response wait (30 s) begins when nothing more of the request is to come."""
    clock, store, sent = FakeClock(), MemoryStore(Policy()), []
    exchange = an_exchange()
    store.add_exchange(exchange, b"", last=False)
    store.fetch_exchange(BACKEND, REQUEST, agent_id="a", now=NOON)
    waiting = wait_for_answer(store, clock, Policy(), exchange, 0, is_sent=lambda: bool(sent))
    script = [(seconds(at), lambda: None) for at in (25, 50, 75)] + [(seconds(90), lambda: sent.append(True))]

    with pytest.raises(NoAnswer, match="did not answer in time"):
        drive(waiting, ScriptedWaiter(clock, script))

    assert timedelta(seconds=90) < clock.now() - NOON <= timedelta(seconds=120)
