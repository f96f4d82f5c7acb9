"""The Datastore store keeps the contract, on the vendor's emulator."""

import os
import random
from typing import Final

import pytest
from google.appengine.api.memcache.memcache_stub import MemcacheServiceStub
from google.cloud import ndb

from broker.store import Store
from scripts.emulator import DatastoreEmulator
from stores.datastore.store import DatastoreStore
from stores.shared.appengine_memcache import AppEngineMemcache
from tests.contract.cases import POLICY, claim, queued
from tests.contract.store_contract import StoreContract, overridden_tests
from tests.contract.two_processes import TwoProcesses
from tests.emulator import connect, started
from tests.fakes.cache import UnreliableCache
from wire.protocol import RequestId

pytestmark = pytest.mark.loopback

PATIENCE: Final = 60.0
"""Seconds for one call. Of many at once on a busy machine each has its turn: who wins is judged here, not how soon."""


def patient(client: ndb.Client) -> DatastoreStore:
    return DatastoreStore(client, POLICY, timeout=PATIENCE)


class TestDatastoreStore(StoreContract):
    @pytest.fixture
    def store(self, ndb_client: ndb.Client) -> Store:
        return patient(ndb_client)


class TestDatastoreStoreOfTwoProcesses(StoreContract):
    """With App Engine's memcache between them, which fails in one of ten calls."""

    @pytest.fixture
    def store(self, ndb_client: ndb.Client, memcache: MemcacheServiceStub) -> Store:
        seed = int(os.environ.get("CACHE_SEED") or random.randrange(10**6))
        print(f"CACHE_SEED={seed} makes the cache fail again as it did")
        cache = UnreliableCache(AppEngineMemcache(), share=0.1, seed=seed)
        return TwoProcesses(lambda: patient(ndb_client), POLICY, cache)


def test_where_queries_lag_a_request_is_offered_late_and_never_twice() -> None:
    with started(DatastoreEmulator(legacy_consistency=0.3)) as host:
        client = connect(host, namespace="lag")
        stores = [patient(client) for _ in range(3)]
        names = [queued(stores[0], f"request-{number}").request_id for number in range(20)]
        claimed: list[RequestId] = []
        for turn in range(600):
            claimed += claim(stores[turn % 3], agent_id=f"agent-{turn % 3}")
            if len(claimed) >= len(names):
                break
        assert sorted(claimed) == sorted(names)


def test_nothing_of_the_contract_is_overridden() -> None:
    assert overridden_tests(TestDatastoreStore) | overridden_tests(TestDatastoreStoreOfTwoProcesses) == set()
