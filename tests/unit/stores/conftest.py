"""The emulator's fixtures, for the tests of the store in Datastore; and what notes the calls on their way there."""

from collections.abc import Iterator

import pytest
from google.cloud.ndb import Client

from tests.datastore_relay import DatastoreRelay, relayed
from tests.emulator import datastore_host, ndb_client
from tests.memcache_stub import memcache

__all__ = ["datastore_host", "memcache", "ndb_client"]


@pytest.fixture
def relay(ndb_client: Client, datastore_host: str) -> Iterator[DatastoreRelay]:
    """Between the client and the emulator."""
    with relayed(ndb_client, datastore_host) as relay:
        yield relay
