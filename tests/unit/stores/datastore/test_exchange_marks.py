"""On the vendor's emulator: what is read are entities."""

from collections.abc import Hashable

import pytest
from google.cloud import ndb

from broker.waiting import ExchangeKey, Key, PendingKey
from stores.datastore.store import DatastoreStore
from tests.contract.cases import AGENT, NOW, POLICY, answer, fetched, queued
from tests.factories import BACKEND, an_exchange
from wire.protocol import RequestId

pytestmark = pytest.mark.loopback

ONE = ExchangeKey(RequestId("request-1"))
TWO = ExchangeKey(RequestId("request-2"))


@pytest.fixture
def store(ndb_client: ndb.Client) -> DatastoreStore:
    return DatastoreStore(ndb_client, POLICY)


@pytest.fixture
def elsewhere(ndb_client: ndb.Client) -> DatastoreStore:
    """The store of another process over the same database."""
    return DatastoreStore(ndb_client, POLICY)


def test_a_request_that_is_offered_and_fetched_stands_where_it_stood(
    store: DatastoreStore, elsewhere: DatastoreStore
) -> None:
    queued(store)
    before = store.marks.read([ONE])
    elsewhere.claim_pending(BACKEND, agent_id=AGENT, now=NOW)
    elsewhere.fetch_exchange(BACKEND, ONE.request_id, agent_id=AGENT, now=NOW)

    assert before is not None
    assert store.marks.read([ONE]) == before


def test_a_mark_changes_with_every_part_of_an_answer(store: DatastoreStore, elsewhere: DatastoreStore) -> None:
    fetched(elsewhere)
    marks = []
    for offset, last in ((0, False), (1, False), (2, True)):
        answer(elsewhere, offset, b"x", last=last)
        marks.append((store.marks.read([ONE]) or {})[ONE])

    assert len(set(marks)) == 3


def test_a_failure_and_an_exchange_that_is_gone_have_marks(store: DatastoreStore, elsewhere: DatastoreStore) -> None:
    exchange = fetched(elsewhere)
    elsewhere.fail_exchange(BACKEND, exchange.request_id, agent_id=AGENT, reason="gone")

    assert set(store.marks.read([ONE, TWO]) or ()) == {ONE, TWO}


def test_a_request_that_still_comes_has_a_mark_that_changes_to_its_end(
    store: DatastoreStore, elsewhere: DatastoreStore
) -> None:
    elsewhere.add_exchange(an_exchange("request-1"), b"GET", last=False)
    marks = [store.marks.read([ONE])]
    for offset, last in ((3, False), (5, True)):
        elsewhere.append_request(BACKEND, ONE.request_id, offset, b" /", last=last, now=NOW)
        marks.append(store.marks.read([ONE]))

    assert all(marks)
    assert len({(mark or {})[ONE] for mark in marks}) == 3


def test_what_this_process_writes_and_reads_it_says_as_it_would_be_read(
    store: DatastoreStore, elsewhere: DatastoreStore
) -> None:
    learned: list[tuple[Key, Hashable]] = []
    store.marks.tell(lambda key, mark: learned.append((key, mark)))
    store.add_exchange(an_exchange("request-1"), b"GET", last=False)
    read = [store.marks.read([ONE])]
    elsewhere.append_request(BACKEND, ONE.request_id, 3, b" /", last=True, now=NOW)
    store.read_request(BACKEND, ONE.request_id, 0)
    read.append(store.marks.read([ONE]))

    assert [{key: mark} for key, mark in learned] == read


def test_backends_have_none_here(store: DatastoreStore) -> None:
    assert store.marks.read([PendingKey(BACKEND)]) == {}
