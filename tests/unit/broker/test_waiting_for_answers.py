from datetime import timedelta

import pytest

from broker.errors import NoAnswer
from broker.policy import Policy
from broker.waiting import drive, wait_for_answer
from stores.memory import MemoryStore
from tests.factories import BACKEND, REQUEST, an_exchange, seconds
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.waiter import ScriptedWaiter


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
