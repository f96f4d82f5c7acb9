"""What goes into a batch of requests, and what becomes of the answers in one."""

import pytest

from broker.batches import POST_ALONE, Postbox, Room, as_batch, take_named
from broker.model import HandedOut, Poll, State
from broker.policy import Policy
from stores.memory.store import MemoryStore
from tests.factories import BACKEND, an_exchange
from tests.fakes.clock import NOON, FakeClock
from wire.batches import Entry
from wire.headers import Headers
from wire.negotiation import Receipt
from wire.protocol import ERROR, MAX_BATCH_BYTES, MAX_ENTRY_BYTES, REQUEST_ID, RequestId

AGENT = "agent-1"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
OWN = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"


def a_room(capacity: int = 100, *, most_bytes: int = MAX_BATCH_BYTES, policy: Policy | None = None) -> Room:
    poll = Poll(agent_id=AGENT, poll_id="p", capacity=capacity)
    return Room(poll, policy or Policy(), most_bytes=most_bytes)


# Requests


@pytest.mark.parametrize(
    ("room", "entries"), [(a_room(3), 3), (a_room(999), 100), (a_room(999, policy=Policy(list_limit=7)), 7)]
)
def test_a_batch_has_room_for_what_the_agent_can_begin_within_limits(room: Room, entries: int) -> None:
    assert (room.entries, room.is_full) == (entries, False)
    assert [room.admit(0) for _ in range(entries + 1)] == [True] * entries + [False]
    assert (room.entries, room.is_full) == (0, True)


def test_a_batch_has_room_for_so_many_bytes() -> None:
    room = a_room(most_bytes=10)

    assert [room.admit(size) for size in (4, 7, 6, 1, 0)] == [True, False, True, False, True]


def take(store: MemoryStore, name: str, agent_id: str = AGENT) -> HandedOut | None:
    return take_named(store, FakeClock(), BACKEND, RequestId(name), agent_id=agent_id)


@pytest.mark.parametrize(
    ("data", "last", "request_"),
    [
        (b"", True, b""),
        (b"x" * MAX_ENTRY_BYTES, True, b"x" * MAX_ENTRY_BYTES),
        (b"x" * (MAX_ENTRY_BYTES + 1), True, None),
        (b"x", False, None),
        (b"", False, None),
    ],
)
def test_what_was_named_is_taken_and_brings_what_is_whole_and_fits(
    data: bytes, last: bool, request_: bytes | None
) -> None:
    store = MemoryStore(Policy(), window=2 * MAX_ENTRY_BYTES)
    store.add_exchange(an_exchange("a"), data, last=last)
    taken = take(store, "a")
    assert taken is not None
    assert (taken.exchange.state, taken.request) == (State.FETCHED, request_)


def test_of_two_agents_that_were_named_a_request_one_gets_it_and_may_take_it_again() -> None:
    store = MemoryStore(Policy())
    store.add_exchange(an_exchange("a"), b"x", last=True)
    assert take(store, "a", "agent-2") == take(store, "a", "agent-2") is not None
    assert take(store, "a") is None
    assert take(store, "unknown") is None


def test_what_a_batch_has_no_room_for_is_only_named() -> None:
    half = b"x" * (MAX_BATCH_BYTES // 2)
    requests = as_batch(HandedOut(an_exchange(name), data) for name, data in [("a", half), ("b", half), ("c", b"x")])
    assert [(each.exchange.request_id, each.request) for each in requests] == [("a", half), ("b", half), ("c", None)]


# Answers


def fetched(*names: str, window: int = 1 << 20) -> MemoryStore:
    store = MemoryStore(Policy(), window=window)
    for name in names:
        store.add_exchange(an_exchange(name), b"", last=True)
        store.fetch_exchange(BACKEND, RequestId(name), agent_id=AGENT, now=NOON)
    return store


def an_entry(name: str, message: bytes = OK, *fields: tuple[str, str]) -> Entry:
    return Entry(Headers([(REQUEST_ID, name), *fields]), message)


def post(store: MemoryStore, *entries: Entry, agent_id: str = AGENT) -> Receipt:
    postbox = Postbox(store, FakeClock(), Policy(), BACKEND, agent_id=agent_id)
    for entry in entries:
        postbox.take(entry)
    return postbox.receipt()


def state_of(store: MemoryStore, name: str) -> tuple[State, bytes | None]:
    answer = store.read_answer(BACKEND, RequestId(name), 0)
    return answer.exchange.state, answer.part and answer.part.data


def test_every_answer_of_a_batch_is_delivered() -> None:
    store = fetched("r1", "r2")

    assert post(store, an_entry("r1"), an_entry("r2")) == Receipt((RequestId("r1"), RequestId("r2")))
    assert [state_of(store, name) for name in ("r1", "r2")] == [(State.ANSWERED, OK)] * 2


def test_an_answer_that_is_refused_does_not_hold_up_the_others() -> None:
    store = fetched("r1", "r2", "r3", "r4")
    post(store, an_entry("r3", b"other"))
    receipt = post(store, an_entry("gone"), an_entry("r1", b""), an_entry("r3"), an_entry("r4"))

    assert receipt.unknown == ("gone",)
    assert receipt.refused == {"r1": "empty-answer", "r3": "conflicting-bytes"}
    assert receipt.delivered == ("r4",)
    assert state_of(store, "r1") == (State.FAILED, None)


def test_only_the_holder_answers() -> None:
    store = fetched("r1")

    assert post(store, an_entry("r1"), agent_id="agent-2").refused == {"r1": "claimed-elsewhere"}
    assert state_of(store, "r1") == (State.FETCHED, None)


def test_a_batch_may_be_posted_again() -> None:
    store = fetched("r1")

    assert post(store, an_entry("r1")) == post(store, an_entry("r1")) == Receipt((RequestId("r1"),))


def test_of_an_exchange_that_is_there_twice_the_first_word_counts() -> None:
    store = fetched("r1")

    assert post(store, an_entry("r1"), an_entry("r1", b"other")) == Receipt((RequestId("r1"),))
    assert state_of(store, "r1") == (State.ANSWERED, OK)


def test_an_agents_own_answer_breaks_off_one_that_has_begun() -> None:
    store = fetched("r1", "r2")
    store.append_answer(BACKEND, RequestId("r1"), 0, OK[:20], agent_id=AGENT, last=False, now=NOON)
    own = (ERROR, "backend-unreachable")

    assert post(store, an_entry("r1", OWN, own), an_entry("r2", OWN, own)).delivered == ("r1", "r2")
    assert state_of(store, "r1")[0] is State.FAILED
    assert state_of(store, "r2") == (State.ANSWERED, OWN)


def test_an_answer_without_room_is_to_be_posted_alone_and_may_be() -> None:
    store = fetched("r1", "r2", window=10)

    assert post(store, an_entry("r1"), an_entry("r2", b"short")) == Receipt(
        (RequestId("r2"),), refused={RequestId("r1"): POST_ALONE}
    )
    assert store.append_answer(BACKEND, RequestId("r1"), 0, OK, agent_id=AGENT, last=True, now=NOON) == 10
