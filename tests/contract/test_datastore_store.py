"""The Datastore store keeps the contract, on the vendor's emulator."""

import pytest
from google.cloud import ndb

from broker.store import Store
from stores.datastore import DatastoreStore
from tests.contract.cases import POLICY
from tests.contract.store_contract import StoreContract, overridden_tests

pytestmark = pytest.mark.loopback


class TestDatastoreStore(StoreContract):
    @pytest.fixture
    def store(self, ndb_client: ndb.Client) -> Store:
        return DatastoreStore(ndb_client, POLICY)


def test_nothing_of_the_contract_is_overridden() -> None:
    assert overridden_tests(TestDatastoreStore) == set()
