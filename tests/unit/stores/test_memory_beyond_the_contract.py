"""What `MemoryStore` can and no other store has to."""

from broker.model import BackendStatus, Exchange
from broker.policy import Policy
from stores.memory import MemoryStore
from tests.factories import BACKEND, REQUEST, a_backend, an_exchange
from tests.fakes.clock import NOON
from wire.protocol import BackendId


def a_store(*exchanges: Exchange) -> MemoryStore:
    store = MemoryStore(Policy())
    store.put_backend(a_backend())
    for exchange in exchanges:
        store.add_exchange(exchange, b"", last=True)
    return store


def test_a_backend_whose_polls_are_forgotten_was_never_polled() -> None:
    store = a_store()
    store.touch_backend(BACKEND, polled=NOON, used=NOON)

    store.forget_polls(BACKEND)

    assert store.get_statuses([BACKEND]) == {BACKEND: BackendStatus(last_used=NOON)}


def test_forgetting_the_polls_of_a_backend_that_is_not_there_leaves_nothing_behind() -> None:
    store = a_store()

    store.forget_polls(BackendId("elsewhere"))

    assert store.get_statuses([BackendId("elsewhere")]) == {}


def test_an_exchange_is_there_for_its_own_backend_until_it_is_deleted() -> None:
    store = a_store(an_exchange())

    seen = [store.has_exchange(BACKEND, REQUEST), store.has_exchange(BackendId("elsewhere"), REQUEST)]
    store.delete_exchange(BACKEND, REQUEST)

    assert [*seen, store.has_exchange(BACKEND, REQUEST)] == [True, False, False]


def test_a_withdrawn_offer_is_listed_again_at_once() -> None:
    store = a_store(an_exchange())
    listed = store.claim_pending(BACKEND, agent_id="a", now=NOON)

    store.withdraw_offers(BACKEND, listed, agent_id="a")

    assert store.claim_pending(BACKEND, agent_id="b", now=NOON) == [REQUEST]


def test_an_offer_that_was_fetched_or_is_another_agents_is_not_withdrawn() -> None:
    store = a_store(an_exchange("fetched"), an_exchange("other"))
    store.claim_pending(BACKEND, agent_id="a", now=NOON)
    fetched = store.fetch_exchange(BACKEND, an_exchange("fetched").request_id, agent_id="a", now=NOON)

    store.withdraw_offers(BACKEND, [fetched.request_id, an_exchange("gone").request_id], agent_id="a")
    store.withdraw_offers(BACKEND, [an_exchange("other").request_id], agent_id="b")

    assert store.claim_pending(BACKEND, agent_id="b", now=NOON) == []
