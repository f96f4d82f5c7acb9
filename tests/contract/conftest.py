"""What the contract suites need: assertions explained though they are no test modules by name, and restless threads."""

import sys
from collections.abc import Iterator

import pytest

from tests.emulator import datastore_host, ndb_client
from tests.memcache_stub import memcache

__all__ = ["datastore_host", "memcache", "ndb_client"]

for _suite in ("backend", "exchange", "handout", "stream", "sweep", "race", "waiter", "store"):
    pytest.register_assert_rewrite(f"tests.contract.{_suite}_contract")


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)
