"""The waiters of threads keep their contract."""

import pytest

from broker.clock import PollingWaiter
from broker.waiting import Waiter
from stores.memory import MemoryStore, MemoryWaiter
from stores.shared_waiter import SharedWaiter
from tests.contract.cases import POLICY
from tests.contract.waiter_contract import WaiterContract


class TestMemoryWaiter(WaiterContract):
    @pytest.fixture
    def waiter(self) -> Waiter:
        return MemoryWaiter(MemoryStore(POLICY))


class TestPollingWaiter(WaiterContract):
    @pytest.fixture
    def waiter(self) -> Waiter:
        return PollingWaiter(POLICY)


class TestSharedWaiter(WaiterContract):
    @pytest.fixture
    def waiter(self) -> Waiter:
        return SharedWaiter(POLICY)
