"""The memory store keeps the contract when SQLite keeps its registrations."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.store import Store
from stores.memory.store import MemoryStore
from stores.sqlite.registrations import SqliteRegistrations
from tests.contract.cases import POLICY
from tests.contract.store_contract import StoreContract, overridden_tests


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        registrations = SqliteRegistrations(tmp_path / "proxy.sqlite3")
        yield MemoryStore(POLICY, registrations=registrations)
        registrations.close()


def test_nothing_of_the_contract_is_overridden() -> None:
    assert overridden_tests(TestSqliteStore) == set()
