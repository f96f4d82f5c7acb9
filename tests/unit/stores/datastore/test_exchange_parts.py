"""Parts written beside one another: whoever sees the state finds them, and of two writers only one counts."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

import pytest
from google.cloud import datastore
from google.cloud.ndb import Client

from broker.errors import BrokerError, StoreUnavailable
from broker.model import Poll
from broker.policy import Policy
from stores.datastore.conditional import Conflict, Datastore, insert, put
from stores.datastore.exchange_parts import AT_ONCE, MANY_BYTES, PartCalls
from stores.datastore.exchange_records import PART_KINDS
from stores.datastore.exchange_streams import MAX_PART_BYTES
from stores.datastore.store import DatastoreStore
from tests.contract.cases import AGENT, NOW, everything, fetched, part_of_answer
from tests.datastore_relay import DatastoreRelay
from tests.factories import BACKEND, REQUEST, an_exchange
from tests.timing import SECOND
from wire.protocol import BackendId, RequestId

pytestmark = pytest.mark.loopback

MANY: Final = 3 * AT_ONCE


class Watched(Datastore):
    """Notes what is written, and how many calls there are at a time; each waits for all that may come beside it."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.together = threading.Barrier(AT_ONCE, timeout=20)
        self.written: list[str] = []
        self._lock = threading.Lock()
        self._now = self.most = 0

    def commit_each(self, mutations: Sequence[Any]) -> list[int | None]:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        self.together.wait()
        with self._lock:
            self._now -= 1
            self.written.append("part")
        return [1]

    def commit(self, mutations: Any) -> list[int]:
        self.written += ["state", *["part"] * (len(list(mutations)) - 1)]
        return [1]


def parts_of(raw: Datastore, number: int) -> list[datastore.Entity]:
    parts = [datastore.Entity(raw.key("exchange", "id:1", "answerPart", str(name))) for name in range(number)]
    for part in parts:
        part["data"] = bytes(MANY_BYTES)
    return parts


def test_several_parts_are_written_beside_one_another_a_few_at_a_time_and_the_state_last(ndb_client: Client) -> None:
    raw = Watched(ndb_client)
    PartCalls(raw).write(insert(datastore.Entity(raw.key("exchange", "id:1"))), parts_of(raw, MANY), written=set())
    assert raw.written == ["part"] * MANY + ["state"]
    assert raw.most == AT_ONCE


def test_one_part_is_in_one_call_with_the_state(ndb_client: Client) -> None:
    raw = Watched(ndb_client)
    PartCalls(raw).write(insert(datastore.Entity(raw.key("exchange", "id:1"))), parts_of(raw, 1), written=set())
    assert raw.written == ["state", "part"]


def test_a_part_that_cannot_be_written_keeps_the_state_from_being_written(ndb_client: Client) -> None:
    class Failing(Watched):
        def commit_each(self, mutations: Sequence[Any]) -> list[int | None]:
            raise StoreUnavailable("test")

    raw = Failing(ndb_client)
    with pytest.raises(StoreUnavailable):
        PartCalls(raw).write(insert(datastore.Entity(raw.key("exchange", "id:1"))), parts_of(raw, 2), written=set())
    assert raw.written == []


def test_what_was_written_before_a_conflict_is_not_written_again(ndb_client: Client, relay: DatastoreRelay) -> None:
    uploading, fetching = DatastoreStore(ndb_client, Policy()), DatastoreStore(ndb_client, Policy())
    uploading.add_exchange(an_exchange(), b"x", last=False)
    fetching.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=NOW)
    before = len(relay.calls)
    uploading.append_request(BACKEND, REQUEST, 1, bytes(3 * MAX_PART_BYTES), last=True, now=NOW)
    written = [kind for call in relay.calls[before:] for kind in call.written]
    assert written.count("requestPart") == 3
    assert written.count("exchange") == 2  # of which the first was refused


class CountedLookups:
    """Datastore's stub; its look-ups wait for one more than may come beside one another."""

    def __init__(self, there: Any) -> None:
        self.commit, self.run_query, self._lookup = there.commit, there.run_query, there.lookup
        self._too_many = threading.Barrier(AT_ONCE + 1, timeout=SECOND)
        self._lock = threading.Lock()
        self._now = self.most = 0

    def lookup(self, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        with suppress(threading.BrokenBarrierError):
            self._too_many.wait()
        with self._lock:
            self._now -= 1
        return self._lookup(*args, **kwargs)


def read_at(offset: int) -> Callable[[DatastoreStore, int], object]:
    return lambda store, number: store.read_request(BACKEND, RequestId(f"request-{number}"), offset)


def take_in_a_batch(store: DatastoreStore, number: int) -> object:
    poll = Poll(agent_id=AGENT, poll_id=f"poll-{number}", capacity=1)
    return store.hand_out(BackendId(f"backend-{number}"), poll, now=NOW)


@pytest.mark.parametrize(
    ("is_remembered", "read"),
    [(False, read_at(MAX_PART_BYTES)), (True, read_at(MAX_PART_BYTES - 1)), (False, take_in_a_batch)],
    ids=["guessed", "end of a part", "batch"],
)
def test_whatever_may_bring_long_parts_takes_its_turn(
    ndb_client: Client, is_remembered: bool, read: Callable[[DatastoreStore, int], object]
) -> None:
    writer = DatastoreStore(ndb_client, Policy())
    for number in range(MANY):
        backend_id = f"backend-{number}" if read is take_in_a_batch else BACKEND
        exchange = an_exchange(f"request-{number}", backend_id=backend_id)
        writer.add_exchange(exchange, bytes(MAX_PART_BYTES), last=True)
    store = writer if is_remembered else DatastoreStore(ndb_client, Policy())
    ndb_client.stub = counted = CountedLookups(ndb_client.stub)
    with ThreadPoolExecutor(MANY) as pool:
        assert None not in pool.map(lambda number: read(store, number), range(MANY))
    assert 0 < counted.most <= AT_ONCE


def test_of_agents_that_answer_at_a_time_the_parts_of_one_count(ndb_client: Client) -> None:
    stores = [DatastoreStore(ndb_client, Policy()) for _ in range(4)]
    fetched(stores[0])
    sizes = [2_500_000, 2_500_000, 3_100_000, 3_900_000]
    answers = [bytes([number]) * size for number, size in enumerate(sizes)]
    begin = threading.Barrier(len(stores))

    def post(number: int) -> bool:
        begin.wait()
        try:
            stores[number].append_answer(BACKEND, REQUEST, 0, answers[number], agent_id=AGENT, last=True, now=NOW)
        except (BrokerError, Conflict):
            return False
        return True

    with ThreadPoolExecutor(len(stores)) as pool:
        won = [number for number, has_won in enumerate(pool.map(post, range(len(stores)))) if has_won]
    assert len(won) == 1
    assert everything(part_of_answer, DatastoreStore(ndb_client, Policy())) == answers[won[0]]


def test_what_a_writer_left_that_lost_or_died_goes_with_the_sweep(ndb_client: Client) -> None:
    store = DatastoreStore(ndb_client, Policy())
    raw = Datastore(ndb_client)
    fetched(store)
    store.append_answer(BACKEND, REQUEST, 0, bytes(2_500_000), agent_id=AGENT, last=True, now=NOW)
    raw.commit([put(datastore.Entity(raw.key("exchange", f"id:{REQUEST}", "answerPart", "0.died")))])
    store.delete_exchange(BACKEND, REQUEST)
    left = [found.entity.key.name for kind in PART_KINDS for page in raw.query(kind) for found in page]
    assert left == ["0.died"]
    store.sweep(now=NOW)
    assert [page for kind in PART_KINDS for page in raw.query(kind)] == []
