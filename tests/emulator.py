"""Fixtures for tests against the vendor's Datastore emulator; `tests/conftest.py` and others import them.

One emulator serves a whole run. `DATASTORE_EMULATOR_HOST` names one that runs already. Where there is none, the tests
are skipped and the summary says so; with `REQUIRE_EMULATOR=1`, as in CI, that is a failure.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import ndb

from scripts.emulator import DatastoreEmulator, EmulatorMissing

PROJECT = "inverting-proxy-tests"


@pytest.fixture(scope="session")
def datastore_host() -> Iterator[str]:
    """Host and port of an emulator."""
    running = os.environ.get("DATASTORE_EMULATOR_HOST")
    if running:
        yield running
        return
    with started(DatastoreEmulator()) as host:
        yield host


@contextmanager
def started(emulator: DatastoreEmulator) -> Iterator[str]:
    """Host and port of an emulator that runs as long as the block; no test goes on without one."""
    try:
        emulator.start()
    except EmulatorMissing as missing:
        if os.environ.get("REQUIRE_EMULATOR") == "1":
            pytest.fail(f"REQUIRE_EMULATOR=1, but: {missing}", pytrace=False)
        pytest.skip(f"NOT TESTED on Datastore: {missing}")
    try:
        yield emulator.host
    finally:
        emulator.stop()


def connect(host: str, *, namespace: str, project: str = PROJECT) -> ndb.Client:
    """An ndb client of an emulator, as `DATASTORE_EMULATOR_HOST` would give it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DATASTORE_EMULATOR_HOST", host)
        return ndb.Client(project=project, namespace=namespace, credentials=AnonymousCredentials())


@pytest.fixture
def ndb_client(datastore_host: str) -> ndb.Client:
    """A client with a fresh namespace: an empty database for each test."""
    return connect(datastore_host, namespace=f"test-{uuid.uuid4().hex}")
