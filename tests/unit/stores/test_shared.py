"""On the vendor's emulator: two processes' worth of stores and waiters."""

import random
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import pytest
from google.cloud import ndb

from broker.clock import SystemClock
from broker.waiting import drive, wait_for_answer, wait_for_pending
from stores.datastore import DatastoreStore
from stores.hints import CacheUnavailable, Hints
from stores.shared import with_waiter
from tests.contract.cases import AGENT, POLICY, answer
from tests.factories import BACKEND, a_backend, an_exchange

pytestmark = pytest.mark.loopback


class UnreliableCache:
    """A `Cache` that loses, delays and evicts a share of what it is given, and fails as often."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._random = random.Random(1)
        self._lock = Lock()  # guards the three below
        self._values: dict[str, bytes] = {}
        self._late: dict[str, bytes] = {}
        self.calls = 0

    def get_many(self, names: Collection[str]) -> Mapping[str, bytes]:
        with self._lock:
            self._maybe_fail()
            for name in [each for each in self._values if self._happens(0.1)]:
                del self._values[name]
            found = {name: self._values[name] for name in names if name in self._values}
            self._values |= self._late
            self._late.clear()
            return found

    def put(self, name: str, value: bytes) -> None:
        with self._lock:
            self._maybe_fail()
            if not self._happens():
                (self._late if self._happens() else self._values)[name] = value

    def _maybe_fail(self) -> None:
        self.calls += 1
        if self._happens(0.02):
            raise CacheUnavailable("it pleased to fail")

    def _happens(self, factor: float = 1.0) -> bool:
        return self._random.random() < self._share * factor


@pytest.mark.parametrize("lost", [None, 0.0, 0.4, 1.0])
def test_many_users_that_wait_together_get_their_answers(ndb_client: ndb.Client, lost: float | None) -> None:
    clock = SystemClock()
    cache = UnreliableCache(lost or 0)
    hints = None if lost is None else Hints(cache)
    users, users_waiter = with_waiter(DatastoreStore(ndb_client, POLICY), POLICY, hints)
    agents, agents_waiter = with_waiter(DatastoreStore(ndb_client, POLICY), POLICY, hints)
    users.put_backend(a_backend())

    def ask(number: int) -> bytes:
        exchange = an_exchange(f"request-{number}", started=clock.now(), expires=clock.now() + POLICY.exchange_ttl)
        users.add_exchange(exchange, b"GET", last=True)
        return drive(wait_for_answer(users, clock, POLICY, exchange, 0), users_waiter).data

    def serve() -> None:
        served = 0
        while served < 8:
            waiting = wait_for_pending(agents, clock, POLICY, BACKEND, agent_id=AGENT)
            for request_id in drive(waiting, agents_waiter):
                agents.fetch_exchange(BACKEND, request_id, agent_id=AGENT, now=clock.now())
                answer(agents, 0, request_id.encode(), last=True, request_id=request_id, now=clock.now())
                served += 1

    with ThreadPoolExecutor(9) as pool:
        agent = pool.submit(serve)
        answers = list(pool.map(ask, range(8)))
        agent.result(30)

    assert answers == [f"request-{number}".encode() for number in range(8)]
    assert (cache.calls > 0) == (hints is not None)
