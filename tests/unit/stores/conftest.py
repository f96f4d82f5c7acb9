"""The emulator's fixtures, for the tests of the store in Datastore."""

from tests.emulator import datastore_host, ndb_client

__all__ = ["datastore_host", "ndb_client"]
