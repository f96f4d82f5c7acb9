"""What only the store in Datastore has: how many calls it makes, how entities look, and a service that may fail."""

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import grpc
import pytest
import yaml
from google.cloud import datastore
from google.cloud.ndb import Client

from broker.errors import (
    BrokerError,
    ClaimedElsewhere,
    ConflictingBytes,
    StoreUnavailable,
    UnknownBackend,
    UnknownRequest,
)
from broker.model import LostPolls, Options, Part, Poll, State
from broker.policy import Policy
from broker.store import Store
from broker.waiting import ExchangeKey, Key
from stores.datastore.calls import ATTEMPTS, TIMEOUT
from stores.datastore.conditional import Datastore, delete, put
from stores.datastore.exchange_records import EXCHANGE, LOST_POLL, PAGE, PART_KINDS, Layout, Record, queue_place
from stores.datastore.exchange_streams import MAX_INLINE_BYTES
from stores.datastore.registrations import Registrations
from stores.datastore.store import DatastoreStore
from tests.datastore_relay import Call, DatastoreRelay, relayed
from tests.emulator import connect
from tests.factories import BACKEND, REQUEST, a_backend, an_exchange
from tests.fakes.clock import NOON
from tests.fakes.grpc_failure import Failure
from wire.protocol import MAX_ENTRY_BYTES, RequestId

pytestmark = pytest.mark.loopback

POLICY: Final = Policy()
AGENT: Final = "agent-1"
LATE: Final = NOON + POLICY.fetch_wait
LATER: Final = NOON + timedelta(days=1)
LARGE: Final = bytes(MAX_INLINE_BYTES + 1)


@pytest.fixture
def store(ndb_client: Client) -> DatastoreStore:
    return DatastoreStore(ndb_client, POLICY)


@pytest.fixture
def elsewhere(ndb_client: Client) -> DatastoreStore:
    """The store of another process over the same database."""
    return DatastoreStore(ndb_client, POLICY)


def answer(store: Store, data: bytes, *, offset: int = 0, last: bool = True) -> int:
    return store.append_answer(BACKEND, REQUEST, offset, data, agent_id=AGENT, last=last, now=NOON)


def fetched(store: Store, request: bytes = b"ask") -> None:
    store.add_exchange(an_exchange(), request, last=True)
    store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=NOON)


def number_of_parts(client: Client) -> int:
    return sum(len(page) for kind in PART_KINDS for page in Datastore(client).query(kind, keys_only=True))


# Calls


def test_a_small_request_is_written_three_times_and_costs_six_calls(
    store: DatastoreStore, elsewhere: DatastoreStore, relay: DatastoreRelay
) -> None:
    def exchange() -> None:
        store.add_exchange(an_exchange(), b"ask", last=True)
        assert store.read_answer(BACKEND, REQUEST, 0).part is None
        [named] = elsewhere.hand_out(BACKEND, a_poll(offers_only=True), now=NOON)
        elsewhere.fetch_exchange(BACKEND, named.exchange.request_id, agent_id=AGENT, now=NOON)
        assert elsewhere.read_request(BACKEND, REQUEST, 0) == Part(0, b"ask", last=True)
        answer(elsewhere, b"say")
        assert store.read_answer(BACKEND, REQUEST, 0).part == Part(0, b"say", last=True)
        store.delete_exchange(BACKEND, REQUEST)

    assert relay.during(exchange) == {"Commit": 4, "RunQuery": 1, "Lookup": 1}
    assert [call.written for call in relay.calls if call.written] == [("exchange",)] * 3
    assert [call.deleted for call in relay.calls if call.deleted] == [("exchange",)]


def test_a_small_request_of_version_1_costs_seven_calls(store: DatastoreStore, relay: DatastoreRelay) -> None:
    def exchange() -> None:
        store.add_exchange(an_exchange(), b"ask", last=True)
        store.claim_pending(BACKEND, agent_id=AGENT, now=NOON)
        store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=NOON)
        store.read_request(BACKEND, REQUEST, 0)
        answer(store, b"say")
        store.read_answer(BACKEND, REQUEST, 0)
        store.delete_exchange(BACKEND, REQUEST)

    assert relay.during(exchange) == {"Commit": 5, "RunQuery": 1, "Lookup": 1}


def test_a_process_that_has_not_seen_the_exchange_looks_first(
    store: DatastoreStore, elsewhere: DatastoreStore, relay: DatastoreRelay
) -> None:
    store.add_exchange(an_exchange(), b"ask", last=True)
    fetch = relay.during(lambda: elsewhere.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=NOON))
    assert fetch == {"Lookup": 1, "Commit": 1}


def test_what_is_remembered_wrongly_costs_calls_and_nothing_else(
    store: DatastoreStore, elsewhere: DatastoreStore, relay: DatastoreRelay
) -> None:
    fetched(store)
    elsewhere.append_answer(BACKEND, REQUEST, 0, b"say", agent_id=AGENT, last=False, now=NOON)
    assert relay.during(lambda: answer(store, b"saying")) == {"Commit": 2, "Lookup": 1}
    part = elsewhere.read_answer(BACKEND, REQUEST, 0).part
    assert part is not None
    assert part.data == b"saying"
    store.delete_exchange(BACKEND, REQUEST)
    with pytest.raises(UnknownRequest):
        elsewhere.fail_exchange(BACKEND, REQUEST, agent_id=AGENT, reason="late")


def test_an_empty_look_costs_one_call_and_the_first_one_none(store: DatastoreStore, relay: DatastoreRelay) -> None:
    assert relay.during(lambda: store.claim_pending(BACKEND, agent_id=AGENT, now=NOON)) == {"RunQuery": 1}
    store.add_exchange(an_exchange(), b"ask", last=True)
    assert relay.during(lambda: store.read_answer(BACKEND, REQUEST, 0)) == {}
    assert relay.during(lambda: store.read_answer(BACKEND, REQUEST, 0)) == {"Lookup": 1}


def test_a_claim_of_many_costs_what_a_claim_of_one_costs(store: DatastoreStore, relay: DatastoreRelay) -> None:
    for number in range(20):
        store.add_exchange(an_exchange(f"request-{number}"), b"ask", last=True)
    claim = relay.during(lambda: store.claim_pending(BACKEND, agent_id=AGENT, now=NOON))
    assert claim == {"RunQuery": 1, "Commit": 1}


def test_a_look_costs_one_call_whatever_lies_there_that_nobody_waits_for(
    ndb_client: Client, store: DatastoreStore, relay: DatastoreRelay
) -> None:
    client = Datastore(ndb_client, timeout=60)
    long_ago = NOON - timedelta(hours=1)
    abandoned = [Record(an_exchange(f"old-{number}", started=long_ago)) for number in range(1_000)]
    client.commit_each([put(Layout(client).entity(record)) for record in abandoned])
    store.add_exchange(an_exchange(), b"ask", last=True)
    assert relay.during(lambda: named(store, a_poll(capacity=1, offers_only=True))) == {"RunQuery": 1}
    assert relay.during(lambda: store.hand_out(BACKEND, a_poll("poll-2"), now=LATE)) == {"RunQuery": 1}
    assert relay.during(lambda: store.claim_pending(BACKEND, agent_id=AGENT, now=LATE)) == {"RunQuery": 1}


def a_poll(poll_id: str = "poll-1", *, agent_id: str = AGENT, capacity: int = 100, offers_only: bool = False) -> Poll:
    return Poll(agent_id=agent_id, poll_id=poll_id, capacity=capacity, offers_only=offers_only)


def test_a_batch_of_many_costs_what_a_batch_of_one_costs(
    store: DatastoreStore, elsewhere: DatastoreStore, relay: DatastoreRelay
) -> None:
    for number in range(20):
        store.add_exchange(an_exchange(f"request-{number}"), b"ask", last=True)
    one = relay.during(lambda: elsewhere.hand_out(BACKEND, a_poll(capacity=1), now=NOON))
    many = relay.during(lambda: elsewhere.hand_out(BACKEND, a_poll(), now=NOON))
    assert one == many == {"RunQuery": 1, "Commit": 1, "Lookup": 1}
    assert relay.during(lambda: elsewhere.hand_out(BACKEND, a_poll(), now=NOON)) == {"RunQuery": 1}


def test_a_small_request_in_a_batch_costs_seven_calls(store: DatastoreStore, relay: DatastoreRelay) -> None:
    def exchange() -> None:
        store.add_exchange(an_exchange(), b"ask", last=True)
        store.hand_out(BACKEND, a_poll(), now=NOON)
        answer(store, b"say")
        store.read_answer(BACKEND, REQUEST, 0)
        store.delete_exchange(BACKEND, REQUEST)

    assert relay.during(exchange) == {"Commit": 4, "RunQuery": 1, "Lookup": 2}


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
        store.add_exchange(an_exchange(name), LARGE, last=True)
    client = Datastore(ndb_client)
    # Its bytes go first: as when the exchange is deleted between the write that takes it and the look at them.
    client.commit([delete(client.key(EXCHANGE, "id:request-1", "requestPart", "0"))])
    assert [each.exchange.request_id for each in elsewhere.hand_out(BACKEND, a_poll(), now=NOON)] == ["request-2"]


def test_a_reader_that_follows_gets_several_parts_in_one_call(
    store: DatastoreStore, elsewhere: DatastoreStore, relay: DatastoreRelay
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

    calls = relay.during(read_all)
    assert set(calls) == {"Lookup"}
    assert calls["Lookup"] <= 6


class CountedResults:
    """Datastore's stub; notes how many exchanges one call brings at most, keys alone apart."""

    def __init__(self, there: Any) -> None:
        self._there = there
        self.commit = there.commit
        self.most = 0

    def lookup(self, *args: Any, **kwargs: Any) -> Any:
        response = self._there.lookup(*args, **kwargs)
        self.most = max(self.most, len(response.found))
        return response

    def run_query(self, *args: Any, **kwargs: Any) -> Any:
        response = self._there.run_query(*args, **kwargs)
        self.most = max(self.most, sum(len(each.entity.properties) > 0 for each in response.batch.entity_results))
        return response


def held_in_parts(store: DatastoreStore, number: int) -> list[Key]:
    """Exchanges in the hands of an agent, each with parts."""
    exchanges = [an_exchange(f"request-{each}") for each in range(number)]
    for exchange in exchanges:
        store.add_exchange(exchange, LARGE, last=True)
        store.fetch_exchange(BACKEND, exchange.request_id, agent_id=AGENT, now=NOON)
    return [ExchangeKey(exchange.request_id) for exchange in exchanges]


def test_where_nobody_wants_their_bytes_a_call_brings_few_exchanges(ndb_client: Client, store: DatastoreStore) -> None:
    keys = held_in_parts(store, 2 * PAGE)
    ndb_client.stub = counted = CountedResults(ndb_client.stub)
    assert len(store.marks.read(keys) or ()) == 2 * PAGE
    store.take_back(BACKEND, LostPolls(frozenset(("poll-1",)), frozenset()), agent_id=AGENT, now=NOON)
    assert counted.most == PAGE
    assert PAGE * 2 * MAX_INLINE_BYTES < 4_000_000


def test_registrations_are_asked_for_once_in_their_age(ndb_client: Client, relay: DatastoreRelay) -> None:
    now = 0.0
    registrations = Registrations(Datastore(ndb_client), POLICY, monotonic=lambda: now)
    registrations.put(a_backend())
    registrations.touch(BACKEND, polled=NOON, used=None)

    def route() -> None:
        assert registrations.find("somebody@example.com") == [a_backend()]
        assert registrations.statuses([BACKEND])[BACKEND].last_polled == NOON
        assert registrations.get(BACKEND) == a_backend()

    assert relay.during(route) == {"RunQuery": 3, "Lookup": 2}
    assert relay.during(route) == {}
    now = POLICY.backends_age.total_seconds()
    assert relay.during(route) == {"RunQuery": 3, "Lookup": 2}


def test_users_share_what_is_remembered_of_their_domain_and_of_all(
    store: DatastoreStore, relay: DatastoreRelay
) -> None:
    store.put_backend(a_backend("all"))
    store.put_backend(a_backend("mine", end_user="me@example.com"))
    assert len(store.find_backends("me@example.com")) == 2
    assert relay.during(lambda: store.find_backends("you@example.com")) == {"RunQuery": 1}


def test_backends_are_listed_in_one_call_and_nothing_but_backends_is_read(
    store: DatastoreStore, relay: DatastoreRelay
) -> None:
    for number in range(50):
        store.put_backend(a_backend(f"backend-{number:02}"))
    relay.calls.clear()
    assert len(store.list_backends()) == 50
    store.get_statuses([backend.backend_id for backend in store.list_backends()])
    assert relay.methods() == {"RunQuery": 2, "Lookup": 1}
    assert {kind for call in relay.calls for kind in call.read} == {"backend", "backendStatus"}


def test_a_change_elsewhere_takes_effect_within_the_age(ndb_client: Client, elsewhere: DatastoreStore) -> None:
    now = 0.0
    registrations = Registrations(Datastore(ndb_client), POLICY, monotonic=lambda: now)
    elsewhere.put_backend(a_backend())
    assert registrations.find("me@example.com") == [registrations.get(BACKEND)] == [a_backend()]
    elsewhere.delete_backend(BACKEND)
    elsewhere.put_backend(a_backend("new"))
    now = POLICY.backends_age.total_seconds()
    assert registrations.find("me@example.com") == [a_backend("new")]
    with pytest.raises(UnknownBackend):
        registrations.get(BACKEND)


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


def test_polls_are_noted_once_in_the_spacing(store: DatastoreStore, relay: DatastoreRelay) -> None:
    store.put_backend(a_backend())

    def poll_for(length: timedelta) -> None:
        moment = NOON
        while moment < NOON + length:
            store.touch_backend(BACKEND, polled=moment)
            moment += timedelta(seconds=1)

    calls = relay.during(lambda: poll_for(10 * POLICY.touch_spacing))
    # Only after the first note it is looked whether the backend is still there.
    assert calls == {"Lookup": 11, "Commit": 10}


def test_what_another_process_has_noted_lately_is_read_and_not_written(
    store: DatastoreStore, elsewhere: DatastoreStore, relay: DatastoreRelay
) -> None:
    store.put_backend(a_backend())
    store.touch_backend(BACKEND, polled=NOON)
    early, late = NOON + timedelta(seconds=29), NOON + POLICY.touch_spacing
    assert relay.during(lambda: elsewhere.touch_backend(BACKEND, polled=early)) == {"Lookup": 1}
    assert relay.during(lambda: elsewhere.touch_backend(BACKEND, polled=late)) == {"Lookup": 1, "Commit": 1}


def test_a_backend_that_is_deleted_while_it_is_noted_for_the_first_time_leaves_nothing(
    ndb_client: Client, store: DatastoreStore, elsewhere: DatastoreStore
) -> None:
    store.put_backend(a_backend())
    there = ndb_client.stub

    def commit(*args: object, **kwargs: object) -> object:
        ndb_client.stub = there
        elsewhere.delete_backend(BACKEND)
        return there.commit(*args, **kwargs)

    ndb_client.stub = SimpleNamespace(lookup=there.lookup, commit=commit)
    store.touch_backend(BACKEND, polled=NOON)
    assert elsewhere.get_statuses([BACKEND]) == {}


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


# Requests that are only named


def named(store: DatastoreStore, poll: Poll, *, seconds: float = 0) -> list[RequestId]:
    handed = store.hand_out(BACKEND, poll, now=NOON + timedelta(seconds=seconds))
    assert [each.request for each in handed] == [None] * len(handed)
    return [each.exchange.request_id for each in handed]


def test_a_request_is_named_to_one_agent_at_a_time_and_nothing_is_written(
    store: DatastoreStore, relay: DatastoreRelay
) -> None:
    store.add_exchange(an_exchange(), b"ask", last=True)
    poll, other = a_poll(offers_only=True), a_poll("poll-2", agent_id="agent-2", offers_only=True)
    relay.calls.clear()
    assert named(store, poll) == [REQUEST]
    assert named(store, poll) == named(store, other) == []
    assert named(store, other, seconds=POLICY.name_lease.total_seconds()) == [REQUEST]
    assert relay.methods() == {"RunQuery": 4}


def test_what_is_named_is_for_no_other_kind_of_poll_of_the_process(store: DatastoreStore) -> None:
    store.add_exchange(an_exchange(), b"ask", last=True)
    assert named(store, a_poll(offers_only=True)) == [REQUEST]
    assert store.claim_pending(BACKEND, agent_id="agent-2", now=NOON) == []
    assert store.hand_out(BACKEND, a_poll("poll-2", agent_id="agent-2"), now=NOON) == []
    assert store.claim_pending(BACKEND, agent_id="agent-2", now=NOON + POLICY.name_lease) == [REQUEST]


def test_no_more_are_named_than_the_agent_can_begin_and_the_oldest_first(store: DatastoreStore) -> None:
    for number in range(14):
        started = NOON + timedelta(milliseconds=number)
        store.add_exchange(an_exchange(f"r{number:02}", started=started), b"ask", last=True)
    assert named(store, a_poll(capacity=12, offers_only=True)) == [f"r{number:02}" for number in range(12)]
    assert named(store, a_poll("poll-2", capacity=12, offers_only=True)) == ["r12", "r13"]


def test_who_fetches_first_has_what_two_processes_have_named(store: DatastoreStore, elsewhere: DatastoreStore) -> None:
    store.add_exchange(an_exchange(), b"ask", last=True)
    assert named(store, a_poll(offers_only=True)) == [REQUEST]
    assert named(elsewhere, a_poll("poll-2", agent_id="agent-2", offers_only=True)) == [REQUEST]
    store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=NOON)
    with pytest.raises(ClaimedElsewhere):
        elsewhere.fetch_exchange(BACKEND, REQUEST, agent_id="agent-2", now=NOON)


def test_what_was_named_in_a_lost_poll_and_did_not_arrive_is_named_again(store: DatastoreStore) -> None:
    for name in ("arrived", "lost"):
        store.add_exchange(an_exchange(name), b"ask", last=True)
    assert named(store, a_poll(offers_only=True)) == ["arrived", "lost"]
    lost = LostPolls(frozenset(("poll-1",)), frozenset((RequestId("arrived"),)))
    store.take_back(BACKEND, lost, agent_id=AGENT, now=NOON)
    assert named(store, a_poll("poll-2", offers_only=True)) == ["lost"]


def test_a_lost_poll_costs_nothing_for_what_it_did_not_hand_out(store: DatastoreStore, relay: DatastoreRelay) -> None:
    for name in ("one", "two", "three"):
        store.add_exchange(an_exchange(name), b"ask", last=True)
        store.fetch_exchange(BACKEND, RequestId(name), agent_id=AGENT, now=NOON)
    lost = LostPolls(frozenset(("poll-1",)), frozenset())
    calls = relay.during(lambda: store.take_back(BACKEND, lost, agent_id=AGENT, now=NOON))
    assert calls == {"Commit": 1, "RunQuery": 1}


def test_what_is_named_to_an_agent_that_asks_no_more_is_for_others_at_once(store: DatastoreStore) -> None:
    store.add_exchange(an_exchange(), b"ask", last=True)
    assert named(store, a_poll(offers_only=True)) == [REQUEST]
    store.release_offers(BACKEND, agent_id=AGENT)
    assert named(store, a_poll("poll-2", agent_id="agent-2", offers_only=True)) == [REQUEST]


# Entities


def test_what_comes_in_small_pieces_lies_in_the_exchange_until_that_is_full(
    ndb_client: Client, store: DatastoreStore, elsewhere: DatastoreStore
) -> None:
    fetched(store)
    answer(store, b"head", last=False)
    answer(store, b"body", offset=4, last=False)
    assert number_of_parts(ndb_client) == 0
    answer(store, LARGE, offset=8, last=True)
    assert number_of_parts(ndb_client) == 1
    assert elsewhere.read_answer(BACKEND, REQUEST, 2).part == Part(2, b"adbody", last=False)
    assert elsewhere.read_answer(BACKEND, REQUEST, 8).part == Part(8, LARGE, last=True)


def test_what_is_repeated_is_compared_with_inline_bytes_and_parts(store: DatastoreStore) -> None:
    fetched(store)
    answer(store, b"head", last=False)
    answer(store, LARGE, offset=4, last=False)
    assert answer(store, b"ad" + LARGE + b"more", offset=2) == 4 + len(LARGE) + 4
    with pytest.raises(ConflictingBytes):
        answer(store, b"xx" + LARGE + b"more", offset=2)


def test_what_another_version_wrote_is_unknown_passed_over_and_told_once(
    ndb_client: Client, store: DatastoreStore, caplog: pytest.LogCaptureFixture
) -> None:
    raw = Datastore(ndb_client)
    older = an_exchange("older").request_id
    entity = datastore.Entity(raw.key(EXCHANGE, f"id:{older}"))
    entity.update({"backend": BACKEND, "agent": AGENT, "queue": queue_place(BACKEND, NOON), "requestStarts": [0]})
    raw.commit([put(entity)])
    store.put_backend(a_backend())
    store.add_exchange(an_exchange(), b"ask", last=True)
    assert store.claim_pending(BACKEND, agent_id=AGENT, now=NOON) == [REQUEST]
    assert len(store.marks.read([ExchangeKey(older)]) or ()) == 1
    with pytest.raises(UnknownRequest):
        store.fetch_exchange(BACKEND, older, agent_id=AGENT, now=NOON)
    store.release_agent(BACKEND, agent_id=AGENT)
    store.delete_backend(BACKEND)
    assert list(raw.query(EXCHANGE)) == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize(
    "properties",
    [
        {"expires": "2999-01-01"},
        {"started": 5},
        {"leasedUntil": 5},
        {"state": "?"},
        {"requestEnd": "1"},
        {"answerParts": 1},
    ],
)
def test_what_is_of_another_type_than_ours_keeps_no_poll_from_the_others(
    ndb_client: Client, store: DatastoreStore, properties: dict[str, object]
) -> None:
    raw = Datastore(ndb_client)
    odd = Layout(raw).entity(Record(an_exchange("odd")))
    odd.update(properties)
    raw.commit([put(odd)])
    store.add_exchange(an_exchange(), b"ask", last=True)
    assert store.claim_pending(BACKEND, agent_id=AGENT, now=NOON) == [REQUEST]


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
    theirs = datastore.Entity(raw.key("backend", "theirs"))
    theirs.update({"EndUser": "you@example.com", "class": "of no model"})
    raw.commit([put(theirs)])
    assert [backend.backend_id for backend in store.find_backends("me@example.com")] == ["mine"]


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


def indexed_properties(entity: datastore.Entity) -> set[str]:
    """An empty list has nothing to index."""
    return {name for name, value in entity.items() if value != []} - entity.exclude_from_indexes


def test_only_what_is_queried_is_indexed(ndb_client: Client, store: DatastoreStore) -> None:
    store.put_backend(a_backend())
    store.touch_backend(BACKEND, polled=NOON, used=NOON)
    store.add_exchange(an_exchange("queued"), b"ask", last=True)
    fetched(store, LARGE)
    answer(store, LARGE, last=False)
    raw = Datastore(ndb_client)
    key = raw.key("exchange", f"id:{REQUEST}")
    parts = [raw.key(*key.flat_path, kind, "0") for kind in PART_KINDS]
    status = raw.key("backendStatus", BACKEND)
    found = {key.kind: one.entity for key, one in raw.lookup([key, *parts, status]).items()}
    indexed = {kind: indexed_properties(entity) for kind, entity in found.items()}
    [queued] = raw.lookup([raw.key("exchange", "id:queued")]).values()
    assert indexed_properties(queued.entity) == {"backend", "agent", "queue"}
    assert indexed == {
        "exchange": {"backend", "agent"},
        "requestPart": set(),
        "answerPart": set(),
        "backendStatus": set(),
    }


def test_no_query_needs_an_index_beyond_those_that_datastore_makes_by_itself(
    store: DatastoreStore, relay: DatastoreRelay
) -> None:
    for act in METHODS.values():
        with contextlib.suppress(BrokerError):
            act(store)
    assert {call.needs_index for call in relay.calls if call.method == "RunQuery"} == {()}
    assert yaml.safe_load((Path(__file__).parents[4] / "index.yaml").read_text()) == {"indexes": []}


def test_nothing_is_left_of_a_delivered_exchange(ndb_client: Client, store: DatastoreStore) -> None:
    fetched(store)
    answer(store, bytes(2_500_000))
    assert number_of_parts(ndb_client) == 3
    store.delete_exchange(BACKEND, REQUEST)
    assert number_of_parts(ndb_client) == 0
    assert list(Datastore(ndb_client).query("exchange")) == []


def test_many_delivered_exchanges_are_deleted_in_one_call(
    ndb_client: Client, store: DatastoreStore, relay: DatastoreRelay
) -> None:
    exchanges = [an_exchange(f"request-{number}") for number in range(20)]
    for exchange in exchanges:
        store.add_exchange(exchange, b"ask", last=True)
    assert relay.during(lambda: store.delete_exchanges(exchanges)) == {"Commit": 1}
    assert list(Datastore(ndb_client).query("exchange")) == []
    with pytest.raises(UnknownRequest):
        store.read_answer(BACKEND, exchanges[0].request_id, 0)


def test_of_many_that_are_deleted_each_goes_as_it_is_stored(
    ndb_client: Client, store: DatastoreStore, elsewhere: DatastoreStore
) -> None:
    exchanges = [an_exchange(name) for name in ("large", "changed", "gone", "unknown")]
    for exchange in exchanges[:3]:
        store.add_exchange(exchange, LARGE, last=True)
    elsewhere.append_request(BACKEND, exchanges[1].request_id, len(LARGE), b"", last=True, now=NOON)
    elsewhere.fetch_exchange(BACKEND, exchanges[1].request_id, agent_id=AGENT, now=NOON)
    elsewhere.delete_exchange(BACKEND, exchanges[2].request_id)
    store.delete_exchanges(exchanges)
    assert list(Datastore(ndb_client).query("exchange")) == []
    assert number_of_parts(ndb_client) == 0


def test_nothing_is_left_of_an_exchange_in_very_many_parts(ndb_client: Client, store: DatastoreStore) -> None:
    fetched(store)
    answer(store, LARGE, last=False)
    for number in range(450):
        answer(store, b"x", offset=len(LARGE) + number, last=False)
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
    fetched(store, LARGE)
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


def test_every_call_has_a_time_limit(store: DatastoreStore, relay: DatastoreRelay) -> None:
    fetched(store)
    for name in ("put_backend", "find_backends", "list_backends", "touch_backend", "get_statuses", "read_request"):
        METHODS[name](store)
    METHODS["delete_backend"](store)
    assert {"Lookup", "RunQuery", "Commit"} == set(relay.methods())
    assert all(0 < call.limit < TIMEOUT + 1 for call in relay.calls)


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("get_backend", {"Lookup": ATTEMPTS}),
        ("list_backends", {"RunQuery": ATTEMPTS}),
        ("get_statuses", {"Lookup": ATTEMPTS}),
        ("touch_backend", {"Lookup": ATTEMPTS}),
        ("put_backend", {"Commit": 1}),
        ("delete_backend", {"Lookup": ATTEMPTS}),
    ],
)
def test_a_call_is_repeated_only_where_that_does_no_harm(name: str, calls: dict[str, int]) -> None:
    gone = connect("127.0.0.1:1", namespace="test")
    with relayed(gone, "127.0.0.1:1") as relay, pytest.raises(StoreUnavailable):
        METHODS[name](DatastoreStore(gone, POLICY))
    assert relay.methods() == calls


def test_a_reading_call_that_the_service_gives_up_early_is_repeated(ndb_client: Client, store: DatastoreStore) -> None:
    fetched(store)
    there, calls = ndb_client.stub, []

    def lookup(*args: object, **kwargs: object) -> object:
        calls.append("Lookup")
        if len(calls) < ATTEMPTS:
            raise Failure(grpc.StatusCode.DEADLINE_EXCEEDED)
        return there.lookup(*args, **kwargs)

    ndb_client.stub = SimpleNamespace(lookup=lookup)
    assert store.read_answer(BACKEND, REQUEST, 0).exchange.state is State.FETCHED


def test_a_note_that_may_have_been_made_is_not_made_again(ndb_client: Client, store: DatastoreStore) -> None:
    store.put_backend(a_backend())
    there, gone = ndb_client.stub, connect("127.0.0.1:1", namespace="test")
    with relayed(gone, "127.0.0.1:1") as relay:
        ndb_client.stub = SimpleNamespace(lookup=there.lookup, commit=gone.stub.commit)
        with pytest.raises(StoreUnavailable, match="UNAVAILABLE"):
            store.touch_backend(BACKEND, polled=NOON)
    assert relay.methods() == {"Commit": 1}


def test_the_relay_reads_what_calls_are_about(store: DatastoreStore, relay: DatastoreRelay) -> None:
    assert relay.during(lambda: None) == {}
    store.add_exchange(an_exchange(), LARGE, last=True)
    store.read_request(BACKEND, REQUEST, 0)
    store.list_backends()
    store.delete_exchange(BACKEND, REQUEST)
    store.sweep(now=NOON)
    assert [call._replace(limit=0) for call in relay.calls] == [
        Call("Commit", 0, written=("exchange", "requestPart")),
        Call("Lookup", 0, read=("exchange", "requestPart")),
        Call("RunQuery", 0, read=("backend",)),
        Call("Commit", 0, deleted=("exchange", "requestPart")),
        Call("RunQuery", 0, read=("exchange",)),
        Call("RunQuery", 0, read=(LOST_POLL,)),
        *(Call("RunQuery", 0, read=(kind,), is_keys_only=True) for kind in PART_KINDS),
    ]
