"""On the vendor's emulator: what is read are entities."""

import pytest
from google.cloud import ndb

from broker.waiting import ExchangeKey, PendingKey
from stores.datastore import DatastoreStore
from tests.contract.cases import AGENT, NOW, POLICY, answer, fetched, queued
from tests.factories import BACKEND, an_exchange
from wire.protocol import RequestId

pytestmark = pytest.mark.loopback

ONE = ExchangeKey(RequestId("request-1"))
TWO = ExchangeKey(RequestId("request-2"))


@pytest.fixture
def store(ndb_client: ndb.Client) -> DatastoreStore:
    return DatastoreStore(ndb_client, POLICY)


def test_nothing_is_said_of_what_waits_for_its_answer(store: DatastoreStore) -> None:
    queued(store)
    fetched(store, "request-2")

    assert store.marks.read([ONE, TWO]) == {}


def test_a_mark_changes_with_every_part_of_an_answer(store: DatastoreStore) -> None:
    fetched(store)
    marks = []
    for offset, last in ((0, False), (1, False), (2, True)):
        answer(store, offset, b"x", last=last)
        marks.append((store.marks.read([ONE]) or {})[ONE])

    assert len(set(marks)) == 3


def test_a_failure_and_an_exchange_that_is_gone_have_marks(store: DatastoreStore) -> None:
    exchange = fetched(store)
    store.fail_exchange(BACKEND, exchange.request_id, agent_id=AGENT, reason="gone")

    assert set(store.marks.read([ONE, TWO]) or ()) == {ONE, TWO}


def test_a_request_that_still_comes_has_a_mark_that_changes(store: DatastoreStore) -> None:
    store.add_exchange(an_exchange("request-1"), b"GET", last=False)
    before = store.marks.read([ONE])
    store.append_request(BACKEND, ONE.request_id, 3, b" /", last=False, now=NOW)

    assert before
    assert store.marks.read([ONE]) != before


def test_backends_have_none_here(store: DatastoreStore) -> None:
    assert store.marks.read([PendingKey(BACKEND)]) == {}
