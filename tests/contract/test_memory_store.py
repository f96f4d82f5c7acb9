"""The memory store keeps the contract."""

import pytest

from broker.store import Store
from stores.memory.store import MemoryStore
from tests.contract.cases import POLICY
from tests.contract.store_contract import StoreContract, overridden_tests


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore(POLICY)


def test_nothing_of_the_contract_is_overridden() -> None:
    assert overridden_tests(TestMemoryStore) == set()
