"""What only the store in Datastore has: how many calls it makes, how entities look, and a service that may fail."""

import contextlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import pytest
import yaml
from google.cloud import datastore
from google.cloud.ndb import Client

from broker.errors import ClaimedElsewhere, StoreUnavailable, UnknownRequest
from broker.model import Options, Poll, State
from broker.policy import Policy
from broker.store import Store
from stores.calls import ATTEMPTS, TIMEOUT
from stores.conditional import Datastore, delete, put
from stores.datastore import DatastoreStore
from stores.exchange_records import AVAILABLE, EXCHANGE, PART_KINDS
from stores.exchange_records import BACKEND as BACKEND_PROPERTY
from stores.lately import MEMORY_SECONDS
from stores.registrations import Registrations
from tests.emulator import connect
from tests.factories import BACKEND, REQUEST, a_backend, an_exchange
from tests.fakes.clock import NOON
from tests.unit.stores.counting import CallCounter, count_calls
from wire.protocol import MAX_ENTRY_BYTES, RequestId

pytestmark = pytest.mark.loopback

POLICY: Final = Policy()
AGENT: Final = "agent-1"
LATER: Final = NOON + timedelta(days=1)


@pytest.fixture
def store(ndb_client: Client) -> DatastoreStore:
    return DatastoreStore(ndb_client, POLICY)


@pytest.fixture
def elsewhere(ndb_client: Client) -> DatastoreStore:
    """The store of another process over the same database."""
    return DatastoreStore(ndb_client, POLICY)


@pytest.fixture
def counter(ndb_client: Client, datastore_host: str) -> CallCounter:
    return count_calls(ndb_client, datastore_host)


def answer(store: Store, data: bytes, *, offset: int = 0, last: bool = True) -> int:
    return store.append_answer(BACKEND, REQUEST, offset, data, agent_id=AGENT, last=last, now=NOON)


def fetched(store: Store) -> None:
    store.add_exchange(an_exchange(), b"ask", last=True)
    store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=NOON)


def number_of_parts(client: Client) -> int:
    return sum(len(page) for kind in PART_KINDS for page in Datastore(client).query(kind, keys_only=True))


# Calls


def test_a_small_request_costs_eight_calls(store: DatastoreStore, counter: CallCounter) -> None:
    def exchange() -> None:
        store.add_exchange(an_exchange(), b"ask", last=True)
        store.claim_pending(BACKEND, agent_id=AGENT, now=NOON)
        store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=NOON)
        store.read_request(BACKEND, REQUEST, 0)
        answer(store, b"say")
        store.read_answer(BACKEND, REQUEST, 0)
        store.delete_exchange(BACKEND, REQUEST)

    assert counter.during(exchange) == {"Commit": 5, "RunQuery": 1, "Lookup": 2}


def test_a_process_that_has_not_seen_the_exchange_looks_first(
    store: DatastoreStore, elsewhere: DatastoreStore, counter: CallCounter
) -> None:
    store.add_exchange(an_exchange(), b"ask", last=True)
    fetch = counter.during(lambda: elsewhere.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=NOON))
    assert fetch == {"Lookup": 1, "Commit": 1}


def test_what_is_remembered_wrongly_costs_calls_and_nothing_else(
    store: DatastoreStore, elsewhere: DatastoreStore, counter: CallCounter
) -> None:
    fetched(store)
    elsewhere.append_answer(BACKEND, REQUEST, 0, b"say", agent_id=AGENT, last=False, now=NOON)
    assert counter.during(lambda: answer(store, b"saying")) == {"Commit": 2, "Lookup": 2}
    part = elsewhere.read_answer(BACKEND, REQUEST, 0).part
    assert part is not None
    assert part.data == b"say"
    store.delete_exchange(BACKEND, REQUEST)
    with pytest.raises(UnknownRequest):
        elsewhere.fail_exchange(BACKEND, REQUEST, agent_id=AGENT, reason="late")


def test_an_empty_look_costs_one_call_and_the_first_one_none(store: DatastoreStore, counter: CallCounter) -> None:
    assert counter.during(lambda: store.claim_pending(BACKEND, agent_id=AGENT, now=NOON)) == {"RunQuery": 1}
    store.add_exchange(an_exchange(), b"ask", last=True)
    assert counter.during(lambda: store.read_answer(BACKEND, REQUEST, 0)) == {}
    assert counter.during(lambda: store.read_answer(BACKEND, REQUEST, 0)) == {"Lookup": 1}


def test_a_claim_of_many_costs_what_a_claim_of_one_costs(store: DatastoreStore, counter: CallCounter) -> None:
    for number in range(20):
        store.add_exchange(an_exchange(f"request-{number}"), b"ask", last=True)
    claim = counter.during(lambda: store.claim_pending(BACKEND, agent_id=AGENT, now=NOON))
    assert claim == {"RunQuery": 1, "Commit": 1}


def a_poll(poll_id: str = "poll-1", *, capacity: int = 100) -> Poll:
    return Poll(agent_id=AGENT, poll_id=poll_id, capacity=capacity)


def test_a_batch_of_many_costs_what_a_batch_of_one_costs(
    store: DatastoreStore, elsewhere: DatastoreStore, counter: CallCounter
) -> None:
    for number in range(20):
        store.add_exchange(an_exchange(f"request-{number}"), b"ask", last=True)
    one = counter.during(lambda: elsewhere.hand_out(BACKEND, a_poll(capacity=1), now=NOON))
    many = counter.during(lambda: elsewhere.hand_out(BACKEND, a_poll(), now=NOON))
    assert one == many == {"RunQuery": 1, "Commit": 1, "Lookup": 1}
    assert counter.during(lambda: elsewhere.hand_out(BACKEND, a_poll(), now=NOON)) == {"RunQuery": 1}


def test_a_small_request_in_a_batch_costs_seven_calls(store: DatastoreStore, counter: CallCounter) -> None:
    def exchange() -> None:
        store.add_exchange(an_exchange(), b"ask", last=True)
        store.hand_out(BACKEND, a_poll(), now=NOON)
        answer(store, b"say")
        store.read_answer(BACKEND, REQUEST, 0)
        store.delete_exchange(BACKEND, REQUEST)

    assert counter.during(exchange) == {"Commit": 4, "RunQuery": 1, "Lookup": 2}


def test_a_poll_that_still_waits_in_another_process_is_lost_there_too(
    store: DatastoreStore, elsewhere: DatastoreStore
) -> None:
    store.take_back(BACKEND, a_poll().as_lost, agent_id=AGENT, now=NOON)
    store.add_exchange(an_exchange(), b"ask", last=True)
    assert elsewhere.hand_out(BACKEND, a_poll(), now=NOON) == []
    assert [each.request for each in elsewhere.hand_out(BACKEND, a_poll("poll-2"), now=NOON)] == [b"ask"]


def test_a_request_that_is_too_long_for_a_batch_is_only_offered(store: DatastoreStore) -> None:
    store.add_exchange(an_exchange(), bytes(MAX_ENTRY_BYTES + 1), last=True)
    (handed,) = store.hand_out(BACKEND, a_poll(), now=NOON)
    assert (handed.request, handed.exchange.state) == (None, State.OFFERED)


def test_what_is_deleted_while_it_is_handed_out_is_left_out(
    store: DatastoreStore, elsewhere: DatastoreStore, ndb_client: Client
) -> None:
    for name in ("request-1", "request-2"):
        store.add_exchange(an_exchange(name), b"ask", last=True)
    client = Datastore(ndb_client)
    # Its bytes go first: as when the exchange is deleted between the write that takes it and the look at them.
    client.commit([delete(client.key(EXCHANGE, "id:request-1", "requestPart", "0"))])
    assert [each.exchange.request_id for each in elsewhere.hand_out(BACKEND, a_poll(), now=NOON)] == ["request-2"]


def test_a_reader_that_follows_gets_several_parts_in_one_call(
    store: DatastoreStore, elsewhere: DatastoreStore, counter: CallCounter
) -> None:
    fetched(store)
    answer(store, bytes(9_500_000))

    def read_all() -> None:
        offset, last = 0, False
        while not last:
            part = elsewhere.read_answer(BACKEND, REQUEST, offset).part
            assert part is not None
            offset, last = part.end, part.last
        assert offset == 9_500_000

    calls = counter.during(read_all)
    assert set(calls) == {"Lookup"}
    assert calls["Lookup"] <= 5


def test_registrations_are_asked_for_once_in_a_second(ndb_client: Client, counter: CallCounter) -> None:
    now = 0.0
    registrations = Registrations(ndb_client, POLICY, monotonic=lambda: now)
    registrations.put(a_backend())
    registrations.touch(BACKEND, polled=NOON, used=None)

    def route() -> None:
        assert registrations.find("somebody@example.com") == [a_backend()]
        assert registrations.statuses([BACKEND])[BACKEND].last_polled == NOON
        assert registrations.get(BACKEND) == a_backend()

    assert counter.during(route) == {"RunQuery": 3, "Lookup": 2}
    assert counter.during(route) == {}
    now = MEMORY_SECONDS
    assert counter.during(route) == {"RunQuery": 3, "Lookup": 2}


def test_a_registration_made_elsewhere_is_found_at_once_where_there_was_none(
    store: DatastoreStore, elsewhere: DatastoreStore
) -> None:
    assert store.find_backends("me@example.com") == []
    assert store.get_statuses([BACKEND]) == {}
    elsewhere.put_backend(a_backend(end_user="me@example.com"))
    elsewhere.touch_backend(BACKEND, polled=NOON)
    assert store.get_backend(BACKEND).end_user == "me@example.com"
    assert len(store.find_backends("me@example.com")) == 1
    assert store.get_statuses([BACKEND])[BACKEND].last_polled == NOON


def test_polls_are_noted_once_in_the_spacing(store: DatastoreStore, counter: CallCounter) -> None:
    store.put_backend(a_backend())

    def poll_for(length: timedelta) -> None:
        moment = NOON
        while moment < NOON + length:
            store.touch_backend(BACKEND, polled=moment)
            moment += timedelta(seconds=1)

    assert counter.during(lambda: poll_for(10 * POLICY.touch_spacing)) == {
        "BeginTransaction": 10,
        "Lookup": 10,
        "Commit": 10,
    }


def test_of_many_processes_one_fetches_whatever_each_remembers(ndb_client: Client, store: DatastoreStore) -> None:
    processes = [DatastoreStore(ndb_client, POLICY) for _ in range(6)]
    names = [RequestId(f"request-{number}") for number in range(10)]
    for name in names:
        store.add_exchange(an_exchange(name), b"ask", last=True)

    def work(number: int) -> list[RequestId]:
        won = []
        mine = processes[number]
        mine.claim_pending(BACKEND, agent_id=f"agent-{number}", now=NOON)
        for name in names:
            with contextlib.suppress(ClaimedElsewhere):
                mine.fetch_exchange(BACKEND, name, agent_id=f"agent-{number}", now=NOON)
                won.append(name)
        return won

    with ThreadPoolExecutor(len(processes)) as threads:
        won = list(threads.map(work, range(len(processes))))
    assert sorted(name for each in won for name in each) == sorted(names)


# Entities


def test_a_registration_of_the_original_is_read(ndb_client: Client, store: DatastoreStore) -> None:
    raw = Datastore(ndb_client)
    entity = datastore.Entity(raw.key("backend", "theirs"))
    entity.update(
        BackendID="theirs", BackendUser="Agent@Example.com", EndUser="allUsers", PathPrefixes=["/a", "/b"], LastUsed=""
    )
    raw.commit([put(entity)])
    expected = a_backend("theirs", backend_user="Agent@Example.com", path_prefixes=("/a", "/b"))
    assert store.find_backends("somebody@example.com") == [expected]
    assert store.get_backend(expected.backend_id) == expected


def test_properties_that_are_not_ours_are_passed_over_and_missing_ones_are_empty(
    ndb_client: Client, store: DatastoreStore
) -> None:
    raw = Datastore(ndb_client)
    entity = datastore.Entity(raw.key("backend", "older"))
    entity.update(BackendID="older", EndUser="me@example.com", LastUsed=NOON, Zone="z", **{"Labels.name": ["a", "b"]})
    raw.commit([put(entity)])
    expected = a_backend("older", backend_user="", end_user="me@example.com", path_prefixes=())
    assert store.get_backend(expected.backend_id) == expected
    assert store.find_backends("Me@example.com") == store.list_backends() == [expected]


def test_a_user_is_not_looked_for_among_the_registrations_of_others(ndb_client: Client, store: DatastoreStore) -> None:
    store.put_backend(a_backend("mine", end_user="me@example.com"))
    raw = Datastore(ndb_client)
    unreadable = datastore.Entity(raw.key("backend", "theirs"))
    unreadable.update({"EndUser": "you@example.com", "class": "of no model"})
    raw.commit([put(unreadable)])
    assert [backend.backend_id for backend in store.find_backends("me@example.com")] == ["mine"]
    with pytest.raises(StoreUnavailable):
        store.list_backends()


def test_a_registration_has_the_shape_of_the_original(ndb_client: Client, store: DatastoreStore) -> None:
    store.put_backend(a_backend(path_prefixes=("/a",)))
    [[found]] = Datastore(ndb_client).query("backend")
    assert found.entity.key.name == BACKEND
    assert dict(found.entity) == {
        "BackendID": BACKEND,
        "BackendUser": "agent@example.com",
        "EndUser": "allUsers",
        "PathPrefixes": ["/a"],
        "LastUsed": "",
    }


def test_hosts_and_options_stand_in_the_registrations_that_have_them(ndb_client: Client, store: DatastoreStore) -> None:
    store.put_backend(a_backend(hosts=("a.org", "*.b.org"), options=Options(max_queue=7)))
    [[found]] = Datastore(ndb_client).query("backend")
    ours = {name: found.entity[name] for name in ("Hosts", "Options")}
    assert ours == {"Hosts": ["a.org", "*.b.org"], "Options": '{"maxQueue": 7}'}
    assert set(ours) <= found.entity.exclude_from_indexes


def test_only_what_is_queried_is_indexed(ndb_client: Client, store: DatastoreStore) -> None:
    store.put_backend(a_backend())
    store.touch_backend(BACKEND, polled=NOON, used=NOON)
    fetched(store)
    answer(store, b"say")
    raw = Datastore(ndb_client)
    key = raw.key("exchange", f"id:{REQUEST}")
    parts = [raw.key(*key.flat_path, kind, "0") for kind in PART_KINDS]
    status = raw.key("backendStatus", BACKEND)
    found = {key.kind: one.entity for key, one in raw.lookup([key, *parts, status]).items()}
    indexed = {kind: set(entity) - entity.exclude_from_indexes for kind, entity in found.items()}
    assert indexed == {
        "exchange": {"backend", "agent"},
        "requestPart": set(),
        "answerPart": set(),
        "backendStatus": set(),
    }


def test_the_only_composite_index_is_that_of_the_poll() -> None:
    [index] = yaml.safe_load((Path(__file__).parents[3] / "index.yaml").read_text())["indexes"]
    assert index == {"kind": EXCHANGE, "properties": [{"name": BACKEND_PROPERTY}, {"name": AVAILABLE}]}


def test_nothing_is_left_of_a_delivered_exchange(ndb_client: Client, store: DatastoreStore) -> None:
    fetched(store)
    answer(store, bytes(2_500_000))
    assert number_of_parts(ndb_client) == 4
    store.delete_exchange(BACKEND, REQUEST)
    assert number_of_parts(ndb_client) == 0
    assert list(Datastore(ndb_client).query("exchange")) == []


def test_nothing_is_left_of_an_exchange_in_very_many_parts(ndb_client: Client, store: DatastoreStore) -> None:
    fetched(store)
    for offset in range(450):
        answer(store, b"x", offset=offset, last=False)
    store.delete_exchange(BACKEND, REQUEST)
    assert number_of_parts(ndb_client) == 0


def test_the_sweep_takes_bytes_that_belong_to_no_exchange(ndb_client: Client, store: DatastoreStore) -> None:
    raw = Datastore(ndb_client)
    orphans = [
        put(datastore.Entity(raw.key("exchange", f"id:gone-{number}", kind, "0")))
        for number in range(300)
        for kind in PART_KINDS
    ]
    raw.commit_each(orphans)
    fetched(store)
    assert store.sweep(now=NOON) == 0
    assert number_of_parts(ndb_client) == 1
    assert store.sweep(now=LATER) == 1
    assert number_of_parts(ndb_client) == 0


def test_names_that_datastore_reserves_are_names(store: DatastoreStore) -> None:
    name = an_exchange("__reserved__").request_id
    with pytest.raises(UnknownRequest):
        store.read_answer(BACKEND, name, 0)
    store.add_exchange(an_exchange(name), b"ask", last=True)
    assert store.read_answer(BACKEND, name, 0).exchange.state is State.QUEUED


def test_a_request_from_a_clock_that_is_ahead_is_offered_at_once(store: DatastoreStore) -> None:
    store.add_exchange(an_exchange(started=NOON + timedelta(seconds=0.9)), b"ask", last=True)
    assert store.claim_pending(BACKEND, agent_id=AGENT, now=NOON) == [REQUEST]


# A service that fails

METHODS: Final[dict[str, Callable[[Store], object]]] = {
    "put_backend": lambda store: store.put_backend(a_backend()),
    "get_backend": lambda store: store.get_backend(BACKEND),
    "list_backends": lambda store: store.list_backends(),
    "find_backends": lambda store: store.find_backends("user@example.com"),
    "delete_backend": lambda store: store.delete_backend(BACKEND),
    "touch_backend": lambda store: store.touch_backend(BACKEND, polled=NOON),
    "get_statuses": lambda store: store.get_statuses([BACKEND]),
    "add_exchange": lambda store: store.add_exchange(an_exchange(), b"ask", last=True),
    "append_request": lambda store: store.append_request(BACKEND, REQUEST, 0, b"ask", last=True, now=NOON),
    "read_answer": lambda store: store.read_answer(BACKEND, REQUEST, 0),
    "delete_exchange": lambda store: store.delete_exchange(BACKEND, REQUEST),
    "claim_pending": lambda store: store.claim_pending(BACKEND, agent_id=AGENT, now=NOON),
    "hand_out": lambda store: store.hand_out(BACKEND, a_poll(), now=NOON),
    "take_back": lambda store: store.take_back(BACKEND, a_poll().as_lost, agent_id=AGENT, now=NOON),
    "fetch_exchange": lambda store: store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=NOON),
    "read_request": lambda store: store.read_request(BACKEND, REQUEST, 0),
    "append_answer": lambda store: answer(store, b"say"),
    "fail_exchange": lambda store: store.fail_exchange(BACKEND, REQUEST, agent_id=AGENT, reason="test"),
    "release_offers": lambda store: store.release_offers(BACKEND, agent_id=AGENT),
    "release_agent": lambda store: store.release_agent(BACKEND, agent_id=AGENT),
    "sweep": lambda store: store.sweep(now=NOON),
}


def test_every_method_of_the_contract_is_tried_without_its_service() -> None:
    assert set(METHODS) == {name for name in vars(Store) if not name.startswith("_")}


@pytest.mark.parametrize("name", METHODS)
def test_a_service_that_cannot_be_reached_is_unavailable(name: str) -> None:
    # Port 1 of loopback: nothing listens there.
    store = DatastoreStore(connect("127.0.0.1:1", namespace="test"), POLICY)
    with pytest.raises(StoreUnavailable):
        METHODS[name](store)


@pytest.mark.parametrize("name", ["append_answer", "fail_exchange", "delete_exchange", "append_request"])
def test_a_service_that_goes_away_is_unavailable_whatever_is_remembered(
    name: str, ndb_client: Client, store: DatastoreStore
) -> None:
    fetched(store)
    ndb_client.stub = connect("127.0.0.1:1", namespace="test").stub
    with pytest.raises(StoreUnavailable):
        METHODS[name](store)


def test_every_call_has_a_time_limit(store: DatastoreStore, counter: CallCounter) -> None:
    fetched(store)
    for name in ("put_backend", "find_backends", "list_backends", "touch_backend", "get_statuses", "read_request"):
        METHODS[name](store)
    METHODS["delete_backend"](store)
    assert {"BeginTransaction", "Lookup", "RunQuery", "Commit"} <= set(counter.calls)
    assert set(counter.limits) == {TIMEOUT}


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("get_backend", {"Lookup": ATTEMPTS}),
        ("list_backends", {"RunQuery": ATTEMPTS}),
        ("find_backends", {"RunQuery": 3 * ATTEMPTS}),
        ("get_statuses", {"Lookup": ATTEMPTS}),
        ("touch_backend", {"BeginTransaction": ATTEMPTS}),
        ("put_backend", {"Commit": 1}),
        ("delete_backend", {"BeginTransaction": 1}),
    ],
)
def test_a_call_is_repeated_only_where_that_does_no_harm(name: str, calls: dict[str, int]) -> None:
    gone = connect("127.0.0.1:1", namespace="test")
    counter = count_calls(gone, "127.0.0.1:1")
    with pytest.raises(StoreUnavailable):
        METHODS[name](DatastoreStore(gone, POLICY))
    assert Counter(counter.calls) == calls


def test_a_service_that_goes_away_within_a_transaction_is_not_asked_for_long(
    ndb_client: Client, store: DatastoreStore
) -> None:
    there, gone = ndb_client.stub, connect("127.0.0.1:1", namespace="test")
    counter = count_calls(gone, "127.0.0.1:1")
    ndb_client.stub = SimpleNamespace(
        begin_transaction=there.begin_transaction,
        lookup=there.lookup,
        commit=gone.stub.commit,
        rollback=gone.stub.rollback,
    )
    with pytest.raises(StoreUnavailable, match="UNAVAILABLE"):
        store.touch_backend(BACKEND, polled=NOON)
    assert counter.calls == ["Commit", "Rollback"] * ATTEMPTS


def test_counting_counts(store: DatastoreStore, counter: CallCounter) -> None:
    assert counter.during(lambda: None) == Counter()
    assert counter.during(lambda: store.put_backend(a_backend())) == {"Commit": 1}
