"""On the vendor's emulator: two processes' worth of stores and waiters."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from google.cloud import ndb

from broker.clock import SystemClock
from broker.waiting import drive, wait_for_answer, wait_for_pending
from stores.datastore.store import DatastoreStore
from stores.shared.appengine_memcache import AppEngineMemcache
from stores.shared.assembly import with_waiter
from stores.shared.hints import Hints
from tests.contract.cases import AGENT, NOW, POLICY, answer
from tests.factories import BACKEND, REQUEST, a_backend, an_exchange
from tests.fakes.cache import UnreliableCache
from tests.memcache_stub import Memcache

pytestmark = pytest.mark.loopback


@pytest.mark.parametrize("failing", [None, 0.0, 0.2, 1.0])
def test_many_users_that_wait_together_get_their_answers(
    ndb_client: ndb.Client, memcache: Memcache, failing: float | None
) -> None:
    clock = SystemClock()
    cache = UnreliableCache(AppEngineMemcache(), share=failing or 0, seed=1)
    hints = None if failing is None else Hints(cache)
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


def test_what_one_thread_reads_wakes_another_that_waits_for_it(ndb_client: ndb.Client) -> None:
    """As when an agent asks again for a request whose first reader is still there."""
    store, waiter = with_waiter(DatastoreStore(ndb_client, POLICY), POLICY)
    elsewhere = DatastoreStore(ndb_client, POLICY)
    elsewhere.add_exchange(an_exchange(), b"GET", last=False)
    assert store.read_request(BACKEND, REQUEST, 3) is None
    ticket = waiter.ticket()
    elsewhere.append_request(BACKEND, REQUEST, 3, b" /", last=True, now=NOW)
    store.read_request(BACKEND, REQUEST, 0)
    assert waiter.ticket() > ticket
