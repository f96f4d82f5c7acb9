"""What `MemoryStore` can and no other store has to."""

from datetime import timedelta
from itertools import count

import pytest

from broker.affinity import tag_of
from broker.errors import Overloaded, TooManyRequests
from broker.model import BackendStatus, Exchange, Options, Poll, Sharing, State
from broker.policy import Policy
from broker.waiting import Key, PendingKey
from stores.memory.store import MemoryStore
from tests.factories import BACKEND, REQUEST, a_backend, an_exchange
from tests.fakes.clock import NOON
from wire.protocol import BackendId, RequestId


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


@pytest.mark.parametrize(("method", "state"), [("GET", State.QUEUED), ("POST", State.FAILED)])
def test_one_request_alone_is_taken_from_the_agent_that_holds_it(method: str, state: State) -> None:
    store = a_store(an_exchange(method=method), an_exchange("other", method=method))
    for name in (REQUEST, an_exchange("other").request_id):
        store.fetch_exchange(BACKEND, name, agent_id="", now=NOON)

    store.release_exchange(BACKEND, REQUEST, agent_id="")

    states = [store.read_answer(BACKEND, name, 0).exchange.state for name in (REQUEST, an_exchange("other").request_id)]
    assert states == [state, State.FETCHED]


def test_a_request_is_not_taken_from_others_nor_where_it_is_not() -> None:
    store = a_store(an_exchange())
    store.fetch_exchange(BACKEND, REQUEST, agent_id="a", now=NOON)

    store.release_exchange(BACKEND, REQUEST, agent_id="")
    store.release_exchange(BackendId("elsewhere"), REQUEST, agent_id="a")
    store.release_exchange(BACKEND, an_exchange("gone").request_id, agent_id="a")

    assert store.holder_of(BACKEND, REQUEST) == "a"


def admitted(store: MemoryStore, number: int, **changes: object) -> list[str]:
    """Why each of so many requests was refused; empty for those that were let in."""
    reasons = []
    for _ in range(number):
        try:
            store.add_exchange(an_exchange(f"r{next(_NUMBERS)}", **changes), b"", last=True)
            reasons.append("")
        except (Overloaded, TooManyRequests) as exc:
            reasons.append(exc.reason)
    return reasons


_NUMBERS = count()


def test_a_queue_has_a_bound_of_which_a_user_gets_his_share() -> None:
    store = MemoryStore(Policy(max_queue=4))

    assert admitted(store, 3, end_user="ada@x") == ["", "", "too-many-requests"]
    assert admitted(store, 3, end_user="bob@x") == ["", "too-many-requests", "too-many-requests"]
    assert admitted(store, 3, end_user="") == ["", "overloaded", "overloaded"]


def test_what_an_agent_has_taken_makes_room_in_the_queue_and_counts_for_the_backend() -> None:
    store = MemoryStore(Policy())
    store.put_backend(a_backend(options=Options(max_queue=1, max_exchanges=2)))

    assert admitted(store, 2, end_user="") == ["", "overloaded"]
    [taken] = store.claim_pending(BACKEND, agent_id="a", now=NOON)
    store.fetch_exchange(BACKEND, taken, agent_id="a", now=NOON)
    assert admitted(store, 2, end_user="") == ["", "overloaded"]
    store.delete_exchange(BACKEND, taken)
    assert admitted(store, 1, end_user="", backend_id=BackendId("other")) == [""]


def test_a_user_is_counted_over_all_backends_and_no_more_once_all_is_over() -> None:
    store = MemoryStore(Policy(user_exchanges=2))
    store.put_backend(a_backend())

    assert admitted(store, 1) + admitted(store, 2, backend_id=BackendId("other")) == ["", "", "too-many-requests"]
    store.delete_backend(BACKEND)
    assert admitted(store, 2) == ["", "too-many-requests"]
    store.sweep(now=NOON + Policy().exchange_ttl)
    assert admitted(store, 2) == ["", ""]


def test_where_the_first_has_waited_for_long_nobody_is_let_in_and_told_when_to_come_again() -> None:
    store = a_store(an_exchange("first"), an_exchange("upgrade", upgrade="websocket"))
    late = an_exchange("late", started=NOON + timedelta(seconds=8))

    with pytest.raises(Overloaded) as caught:
        store.add_exchange(late, b"", last=True)
    assert caught.value.retry_after == 8
    store.delete_exchange(BACKEND, RequestId("first"))
    store.add_exchange(late, b"", last=True)


def shared(sharing: Sharing, *names: str, **changes: object) -> MemoryStore:
    """A store with requests of these names for a backend whose agents share them so."""
    store = MemoryStore(Policy())
    store.put_backend(a_backend(options=Options(agents=sharing)))
    for name in names:
        store.add_exchange(an_exchange(name, **changes), b"", last=True)
    return store


def claimed(store: MemoryStore, agent_id: str, second: float = 0) -> list[RequestId]:
    return store.claim_pending(BACKEND, agent_id=agent_id, now=NOON + timedelta(seconds=second))


def handed(store: MemoryStore, agent_id: str, second: float = 0) -> list[str]:
    poll = Poll(agent_id=agent_id, poll_id=f"{agent_id}-{second}", capacity=5)
    return [each.exchange.request_id for each in store.hand_out(BACKEND, poll, now=NOON + timedelta(seconds=second))]


def test_the_first_agent_is_active_and_the_second_stands_by_in_both_versions_of_the_protocol() -> None:
    store = shared(Sharing.STANDBY)
    assert (claimed(store, "a"), handed(store, "b")) == ([], [])
    store.add_exchange(an_exchange("r1"), b"", last=True)

    assert (handed(store, "b"), claimed(store, "b"), claimed(store, "a")) == ([], [], ["r1"])


def test_who_stands_by_follows_an_agent_that_lets_a_request_lie() -> None:
    store = shared(Sharing.STANDBY, "r1")
    assert (claimed(store, "a"), claimed(store, "b", 4), claimed(store, "b", 6)) == (["r1"], [], ["r1"])

    store.add_exchange(an_exchange("r2", started=NOON + timedelta(seconds=6)), b"", last=True)

    assert (claimed(store, "a", 7), claimed(store, "b", 7)) == ([], ["r2"])


def test_who_stands_by_follows_an_agent_that_has_gone_or_says_that_it_goes() -> None:
    store = shared(Sharing.STANDBY, "r1", "r2")
    assert (len(claimed(store, "a")), claimed(store, "b")) == (2, [])
    store.release_offers(BACKEND, agent_id="a")
    assert claimed(store, "b") == ["r1", "r2"]
    store.release_agent(BACKEND, agent_id="b")

    assert claimed(store, "a") == ["r1", "r2"]


def test_a_request_waits_for_its_own_agent_and_the_others_are_not_kept_from_theirs() -> None:
    store = shared(Sharing.STICKY)
    assert [claimed(store, name) for name in ("a", "b")] == [[], []]
    for name in ("a", "b", "a"):
        affinity = tag_of(name)
        store.add_exchange(an_exchange(f"{name}{next(_NUMBERS)}", affinity=affinity), b"", last=True)

    assert [name[0] for name in claimed(store, "b")] == ["b"]
    assert [name[0] for name in handed(store, "a")] == ["a", "a"]


def test_all_polls_that_may_get_something_are_told_when_an_agent_goes() -> None:
    store = shared(Sharing.STICKY, affinity=tag_of("a"))
    assert [claimed(store, name) for name in "abc"] == [[], [], []]
    for number in range(3):
        store.add_exchange(an_exchange(f"r{number}", affinity=tag_of("a")), b"", last=True)
    told: list[Key] = []
    store.subscribe(told.append)

    store.release_agent(BACKEND, agent_id="a")

    assert told == [PendingKey(BACKEND)] * 3


def test_whom_an_exchange_was_given_to_can_be_asked() -> None:
    store = a_store(an_exchange())
    before = store.agent_of(REQUEST)
    store.fetch_exchange(BACKEND, REQUEST, agent_id="a", now=NOON)

    assert (before, store.agent_of(REQUEST), store.agent_of(RequestId("none"))) == ("", "a", "")
