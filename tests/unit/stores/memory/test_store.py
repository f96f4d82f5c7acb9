"""What only the store in memory has: bounds, forgetting, and telling whoever listens."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from broker.errors import ConflictingBytes, Overloaded
from broker.model import Poll, State
from broker.policy import Policy
from broker.waiting import ExchangeKey, Key, PendingKey, Wait
from stores.memory.store import MemoryStore, MemoryWaiter
from tests.factories import BACKEND, REQUEST, a_backend, an_exchange
from tests.fakes.clock import NOON
from wire.protocol import RequestId

WINDOW = 10


def a_store(*, window: int = WINDOW, capacity: int = 3) -> MemoryStore:
    return MemoryStore(Policy(), window=window, capacity=capacity)


def fetched(store: MemoryStore) -> None:
    store.add_exchange(an_exchange(), b"", last=True)
    store.fetch_exchange(BACKEND, REQUEST, agent_id="a", now=NOON)


def append(store: MemoryStore, offset: int, data: bytes, *, last: bool = False) -> int:
    return store.append_answer(BACKEND, REQUEST, offset, data, agent_id="a", last=last, now=NOON)


def test_no_more_exchanges_are_taken_than_there_is_room_for() -> None:
    store = a_store(capacity=2)
    store.add_exchange(an_exchange("1"), b"", last=True)
    store.add_exchange(an_exchange("2"), b"", last=True)
    with pytest.raises(Overloaded):
        store.add_exchange(an_exchange("3"), b"", last=True)
    store.delete_exchange(BACKEND, RequestId("1"))
    store.add_exchange(an_exchange("3"), b"", last=True)


def test_a_first_part_over_the_window_leaves_nothing() -> None:
    store = a_store()
    with pytest.raises(Overloaded):
        store.add_exchange(an_exchange(), bytes(WINDOW + 1), last=True)
    assert store.claim_pending(BACKEND, agent_id="a", now=NOON) == []
    store.add_exchange(an_exchange(), bytes(WINDOW), last=True)


def test_an_exchange_that_is_gone_leaves_no_bytes_behind() -> None:
    def gone(go: Callable[[MemoryStore], object]) -> int:
        store = a_store()
        store.put_backend(a_backend())
        store.add_exchange(an_exchange(), b"request", last=True)
        store.fetch_exchange(BACKEND, REQUEST, agent_id="a", now=NOON)
        append(store, 0, b"answer")
        go(store)
        return store.held_bytes

    assert gone(lambda store: None) == len(b"requestanswer")
    assert gone(lambda store: store.delete_exchange(BACKEND, REQUEST)) == 0
    assert gone(lambda store: store.delete_backend(BACKEND)) == 0
    assert gone(lambda store: store.sweep(now=NOON + timedelta(days=1))) == 0


def test_no_more_bytes_are_taken_than_the_window_holds() -> None:
    store = a_store()
    fetched(store)
    assert append(store, 0, b"0123456789abc") == WINDOW
    assert append(store, WINDOW, b"abc") == WINDOW


def test_an_end_whose_bytes_did_not_fit_is_not_there_yet() -> None:
    store = a_store()
    fetched(store)
    assert append(store, 0, b"0123456789abc", last=True) == WINDOW
    part = store.read_answer(BACKEND, REQUEST, 0).part
    assert part is not None
    assert not part.last
    store.read_answer(BACKEND, REQUEST, WINDOW)
    assert append(store, WINDOW, b"abc", last=True) == 13
    part = store.read_answer(BACKEND, REQUEST, WINDOW).part
    assert part is not None
    assert (part.data, part.last) == (b"abc", True)


def test_read_bytes_are_forgotten_when_room_is_needed_and_only_then() -> None:
    store = a_store()
    fetched(store)
    append(store, 0, b"0123456789")
    store.read_answer(BACKEND, REQUEST, 4)
    again = store.read_answer(BACKEND, REQUEST, 0).part
    assert again is not None
    assert again.data == b"0123456789"
    assert append(store, WINDOW, b"abcdef") == 14
    with pytest.raises(ConflictingBytes):
        store.read_answer(BACKEND, REQUEST, 3)


def read_on(store: MemoryStore, *, beyond: int) -> None:
    """An agent gets the whole window of a request that is longer; then so many bytes more arrive."""
    store.put_backend(a_backend())
    store.add_exchange(an_exchange(method="PUT"), bytes(WINDOW), last=False)
    store.fetch_exchange(BACKEND, REQUEST, agent_id="a", now=NOON)
    store.read_request(BACKEND, REQUEST, WINDOW)
    store.append_request(BACKEND, REQUEST, WINDOW, bytes(beyond), last=False, now=NOON)


def test_a_request_whose_beginning_is_forgotten_fails_with_its_agent() -> None:
    store = a_store()
    read_on(store, beyond=1)
    store.release_agent(BACKEND, agent_id="a")
    exchange = store.read_answer(BACKEND, REQUEST, 0).exchange
    assert (exchange.state, exchange.failure) == (State.FAILED, "agent-lost")
    assert store.claim_pending(BACKEND, agent_id="b", now=NOON) == []


def test_a_request_that_is_queued_again_keeps_its_beginning_for_the_next_agent() -> None:
    store = a_store()
    read_on(store, beyond=0)
    store.release_agent(BACKEND, agent_id="a")
    assert store.append_request(BACKEND, REQUEST, WINDOW, b"more", last=False, now=NOON) == WINDOW
    assert store.claim_pending(BACKEND, agent_id="b", now=NOON) == [REQUEST]
    part = store.read_request(BACKEND, REQUEST, 0)
    assert part is not None
    assert part.data == bytes(WINDOW)


def test_a_queue_of_nobody_is_gone_with_its_last_exchange() -> None:
    store = a_store()
    store.add_exchange(an_exchange(), b"", last=True)
    store.delete_exchange(BACKEND, REQUEST)
    assert store.get_statuses([BACKEND]) == {}


def listened(act: Callable[[MemoryStore], object], *, prepared: Callable[[MemoryStore], object] = fetched) -> list[Key]:
    """What is told of an act."""
    store = a_store()
    store.put_backend(a_backend())
    prepared(store)
    told: list[Key] = []
    store.subscribe(told.append)
    act(store)
    return told


def test_what_a_poll_has_no_room_for_is_told_to_the_others() -> None:
    def two(store: MemoryStore) -> None:
        for name in ("1", "2"):
            store.add_exchange(an_exchange(name), b"", last=True)

    def taking(capacity: int) -> Callable[[MemoryStore], object]:
        poll = Poll(agent_id="a", poll_id="p", capacity=capacity)
        return lambda store: store.hand_out(BACKEND, poll, now=NOON)

    assert listened(taking(1), prepared=two) == [PendingKey(BACKEND)]
    assert listened(taking(2), prepared=two) == []


def test_what_a_list_has_no_room_for_is_told_to_the_others() -> None:
    store = MemoryStore(Policy(list_limit=2))
    told: list[Key] = []
    store.subscribe(told.append)
    for name in ("1", "2", "3"):
        store.add_exchange(an_exchange(name), b"", last=True)
    told.clear()
    store.claim_pending(BACKEND, agent_id="a", now=NOON)
    store.claim_pending(BACKEND, agent_id="a", now=NOON)

    assert told == [PendingKey(BACKEND)]


def test_whoever_listens_is_told_of_every_change() -> None:
    def queued(store: MemoryStore) -> None:
        store.add_exchange(an_exchange(), b"", last=False)

    exchange, pending = ExchangeKey(REQUEST), PendingKey(BACKEND)
    assert listened(queued, prepared=lambda _: None) == [pending]
    assert listened(lambda store: store.fetch_exchange(BACKEND, REQUEST, agent_id="a", now=NOON), prepared=queued) == [
        exchange
    ]
    assert listened(
        lambda store: store.append_request(BACKEND, REQUEST, 0, b"x", last=True, now=NOON), prepared=queued
    ) == [exchange]
    assert listened(lambda store: append(store, 0, b"x")) == [exchange]
    assert listened(lambda store: store.fail_exchange(BACKEND, REQUEST, agent_id="a", reason="x")) == [exchange]
    assert listened(lambda store: store.delete_exchange(BACKEND, REQUEST)) == [exchange]
    assert listened(lambda store: store.delete_backend(BACKEND)) == [exchange]
    assert listened(lambda store: store.release_agent(BACKEND, agent_id="a")) == [pending, exchange]
    assert listened(lambda store: store.sweep(now=NOON + timedelta(days=1))) == [exchange]


def test_looking_tells_nobody() -> None:
    assert listened(lambda store: store.read_answer(BACKEND, REQUEST, 0)) == []
    assert listened(lambda store: store.claim_pending(BACKEND, agent_id="a", now=NOON)) == []
    assert listened(lambda store: store.release_agent(BACKEND, agent_id="nobody")) == []
    assert listened(lambda store: store.sweep(now=NOON)) == []


def test_reading_on_tells_that_there_is_room() -> None:
    def answered(store: MemoryStore) -> None:
        fetched(store)
        append(store, 0, b"some")

    assert listened(lambda store: store.read_answer(BACKEND, REQUEST, 0), prepared=answered) == []
    assert listened(lambda store: store.read_answer(BACKEND, REQUEST, 4), prepared=answered) == [ExchangeKey(REQUEST)]


def test_a_listener_may_call_the_store() -> None:
    store = a_store()
    seen: list[list[RequestId]] = []
    store.subscribe(lambda _: seen.append(store.claim_pending(BACKEND, agent_id="a", now=NOON)))
    store.add_exchange(an_exchange(), b"", last=True)
    assert seen == [[REQUEST]]


def test_a_change_wakes_whoever_waits() -> None:
    store = a_store()
    waiter = MemoryWaiter(store)
    ticket = waiter.ticket()
    wait = Wait(PendingKey(BACKEND), timedelta(seconds=60), timedelta())
    waiting = threading.Thread(target=lambda: waiter.wait(wait, ticket=ticket), daemon=True)
    waiting.start()
    store.add_exchange(an_exchange(), b"", last=True)
    waiting.join(timeout=30)
    assert not waiting.is_alive()


def test_a_change_after_the_ticket_is_not_slept_through() -> None:
    store = a_store()
    waiter = MemoryWaiter(store)
    ticket = waiter.ticket()
    store.add_exchange(an_exchange(), b"", last=True)
    waiter.wait(Wait(PendingKey(BACKEND), timedelta(seconds=60), timedelta()), ticket=ticket)
    assert waiter.ticket() > ticket
