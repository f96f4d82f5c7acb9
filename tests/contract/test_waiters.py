"""The waiters of threads keep their contract."""

import time
from collections.abc import Collection, Mapping

import pytest

from broker.waiting import Waiter
from stores.memory.store import MemoryStore, MemoryWaiter
from stores.shared.hints import CacheUnavailable, Hints
from stores.shared.waiter import SharedWaiter
from tests.contract.cases import POLICY
from tests.contract.waiter_contract import WaiterContract
from tests.fakes.waiter import PollingWaiter


class BrokenCache:
    """A `Cache` that is not there."""

    def get_many(self, names: Collection[str]) -> Mapping[str, bytes]:
        raise CacheUnavailable("nobody")

    def put(self, name: str, value: bytes) -> None:
        raise CacheUnavailable("nobody")


class TestMemoryWaiter(WaiterContract):
    @pytest.fixture
    def waiter(self) -> Waiter:
        return MemoryWaiter(MemoryStore(POLICY))


class TestPollingWaiter(WaiterContract):
    @pytest.fixture
    def waiter(self) -> Waiter:
        return PollingWaiter(POLICY, sleep=time.sleep)  # noqa: TID251  # that is what it does


class TestSharedWaiter(WaiterContract):
    @pytest.fixture
    def waiter(self) -> Waiter:
        return SharedWaiter(POLICY)


class TestSharedWaiterWithoutItsCache(WaiterContract):
    @pytest.fixture
    def waiter(self) -> Waiter:
        return SharedWaiter(POLICY, hints=Hints(BrokenCache()))
