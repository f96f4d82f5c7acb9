"""How the sweep of Datastore goes about it: page by page, by dates alone, and only what nobody wants any more."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import pytest
from google.cloud import datastore
from google.cloud.ndb import Client

from broker.model import LostPolls
from broker.policy import Policy
from stores.datastore.conditional import Datastore, put
from stores.datastore.exchange_records import EXCHANGE, EXPIRES, LOST_POLL, PART_KINDS, Layout
from stores.datastore.exchange_removal import Removal
from stores.datastore.exchange_streams import MAX_INLINE_BYTES
from stores.datastore.recent_records import RecentRecords
from stores.datastore.store import DatastoreStore
from tests.factories import BACKEND, REQUEST, an_exchange
from tests.fakes.clock import NOON

pytestmark = pytest.mark.loopback

LATER: Final = NOON + timedelta(days=1)
ABANDONED: Final = 400
KINDS: Final = (EXCHANGE, *PART_KINDS, LOST_POLL)


@pytest.fixture
def raw(ndb_client: Client) -> Datastore:
    return Datastore(ndb_client)


@pytest.fixture
def store(ndb_client: Client) -> DatastoreStore:
    return DatastoreStore(ndb_client, Policy())


def removal_over(datastore_: Datastore) -> Removal:
    return Removal(datastore_, Layout(datastore_), RecentRecords())


def count(raw: Datastore, *kinds: str) -> int:
    return sum(len(page) for kind in kinds or KINDS for page in raw.query(kind, keys_only=True))


def abandon(raw: Datastore, number: int) -> None:
    """Exchanges of yesterday, each with a part on either side."""
    for start in range(0, number, 100):
        entities = []
        for name in map(str, range(start, start + 100)):
            entities.append(datastore.Entity(raw.key(EXCHANGE, f"id:{name}"), exclude_from_indexes=(EXPIRES,)))
            entities[-1][EXPIRES] = NOON - timedelta(days=1)
            entities += [datastore.Entity(raw.key(EXCHANGE, f"id:{name}", kind, "0")) for kind in PART_KINDS]
        raw.commit_each([put(entity) for entity in entities])


def test_whatever_was_abandoned_vanishes_in_one_sweep_and_the_living_stays(
    raw: Datastore, store: DatastoreStore
) -> None:
    abandon(raw, ABANDONED)
    store.add_exchange(an_exchange(expires=LATER), bytes(100_000), last=True)
    assert store.sweep(now=NOON) == ABANDONED
    assert count(raw) == 2


def test_a_sweep_stops_when_its_time_is_over_and_the_next_one_goes_on(raw: Datastore, store: DatastoreStore) -> None:
    abandon(raw, ABANDONED)
    first = store.sweep(now=NOON, is_over=lambda: True)
    assert 0 < first < ABANDONED
    assert first * 2 * MAX_INLINE_BYTES < 10_000_000
    assert store.sweep(now=NOON) == ABANDONED - first
    assert count(raw) == 0


@pytest.mark.parametrize("kind", [EXCHANGE, LOST_POLL])
@pytest.mark.parametrize(
    "properties",
    [{}, {EXPIRES: None}, {EXPIRES: "2999-01-01"}, {EXPIRES: 5}, {EXPIRES: NOON, "written-by": "another version"}],
)
def test_what_a_sweep_takes_goes_by_its_date_alone_and_at_once_where_that_is_none(
    properties: dict[str, Any], kind: str, raw: Datastore, store: DatastoreStore
) -> None:
    planted = datastore.Entity(raw.key(kind, "id:planted"))
    planted.update(properties)
    raw.commit([put(planted)])
    assert store.sweep(now=NOON) == (1 if kind == EXCHANGE else 0)
    assert count(raw) == 0


def test_the_word_that_a_poll_is_lost_stays_until_its_date(raw: Datastore, store: DatastoreStore) -> None:
    store.take_back(BACKEND, LostPolls(frozenset(("poll-1",))), agent_id="agent-1", now=NOON)
    [[word]] = raw.query(LOST_POLL)
    assert word.entity.exclude_from_indexes == {EXPIRES}
    store.sweep(now=word.entity[EXPIRES] - timedelta(seconds=1))
    assert count(raw) == 1
    store.sweep(now=word.entity[EXPIRES])
    assert count(raw) == 0


class Prolonging(Datastore):
    """Somebody prolongs what has expired, just before it is removed."""

    def commit_each(self, mutations: Sequence[Any]) -> list[int | None]:
        for page in super().query(EXCHANGE):
            for found in page:
                found.entity[EXPIRES] = LATER
                super().commit([put(found.entity)])
        return super().commit_each(mutations)


def test_an_exchange_that_is_prolonged_at_that_moment_stays(ndb_client: Client, raw: Datastore) -> None:
    DatastoreStore(ndb_client, Policy()).add_exchange(an_exchange(expires=NOON), bytes(100_000), last=True)
    assert removal_over(Prolonging(ndb_client)).of_expired(now=NOON, is_over=lambda: False) == 0
    assert count(raw) == 2


def test_with_a_backend_go_its_exchanges_and_their_bytes(raw: Datastore, store: DatastoreStore) -> None:
    store.add_exchange(an_exchange(), bytes(100_000), last=True)
    store.add_exchange(an_exchange("other", backend_id="other"), bytes(100_000), last=True)
    removal_over(raw).of_backend(BACKEND)
    assert [found.entity.key.name for page in raw.query(EXCHANGE) for found in page] == ["id:other"]
    assert count(raw, *PART_KINDS) == 1


def test_whatever_a_sweep_may_take_has_a_date_for_datastores_own_removal(raw: Datastore, store: DatastoreStore) -> None:
    """In case no sweep comes: a TTL policy takes it by the same property, in parts later than in their exchange."""
    store.add_exchange(an_exchange(), bytes(100_000), last=True)
    [[exchange]], [[part]] = (list(raw.query(kind)) for kind in (EXCHANGE, "requestPart"))
    assert exchange.entity.key.name == f"id:{REQUEST}"
    assert part.entity[EXPIRES] - exchange.entity[EXPIRES] == timedelta(days=1)
