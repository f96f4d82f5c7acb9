"""Notes that are due: one thread makes each, and none fails a request."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from google.cloud import datastore
from google.cloud.ndb import Client

from broker.errors import StoreUnavailable
from broker.policy import Policy
from stores.datastore.calls import ATTEMPTS
from stores.datastore.conditional import Conflict, Datastore, Versioned
from stores.datastore.registrations import Registrations
from tests.factories import BACKEND, a_backend
from tests.fakes.clock import NOON

pytestmark = pytest.mark.loopback


class Watched(Datastore):
    """Does something before each look-up and each commit, and counts both."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.looks = self.commits = 0
        self.before_look: Callable[[], None] = lambda: None
        self.before_commit: Callable[[], None] = lambda: None

    def lookup(self, keys: Sequence[datastore.Key]) -> dict[datastore.Key, Versioned]:
        self.looks += bool(keys)
        self.before_look()
        return super().lookup(keys)

    def commit(self, mutations: Iterable[Any]) -> list[int]:
        self.commits += 1
        self.before_commit()
        return super().commit(mutations)


@pytest.fixture
def service(ndb_client: Client) -> Watched:
    return Watched(ndb_client)


@pytest.fixture
def registrations(service: Watched) -> Registrations:
    registrations = Registrations(service, Policy())
    registrations.put(a_backend())
    registrations.put(a_backend("other"))
    service.commits = 0
    return registrations


def poll(registrations: Registrations, backend: str = BACKEND) -> None:
    registrations.touch(a_backend(backend).backend_id, polled=NOON, used=None)


def fail_with(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_of_those_that_come_while_a_note_is_made_none_looks_or_writes(
    service: Watched, registrations: Registrations
) -> None:
    service.before_look = service.before_commit = lambda: poll(registrations)
    poll(registrations)
    # After the first note of all it is looked whether the backend is still there.
    assert (service.looks, service.commits) == (2, 1)


def test_a_note_that_others_keep_from_being_made_fails_nothing_and_is_made_by_the_next(
    service: Watched, registrations: Registrations
) -> None:
    service.before_commit = fail_with(Conflict())
    poll(registrations)
    assert service.commits == ATTEMPTS
    service.before_commit = lambda: None
    poll(registrations)
    assert registrations.statuses([BACKEND])[BACKEND].last_polled == NOON


def test_a_note_is_made_by_the_next_after_the_service_has_failed(
    service: Watched, registrations: Registrations
) -> None:
    service.before_commit = fail_with(StoreUnavailable("test"))
    with pytest.raises(StoreUnavailable):
        poll(registrations)
    service.before_commit = lambda: None
    poll(registrations)
    assert registrations.statuses([BACKEND])[BACKEND].last_polled == NOON


def test_a_note_leaves_what_is_remembered_of_other_backends(service: Watched, registrations: Registrations) -> None:
    poll(registrations, "other")
    other = a_backend("other").backend_id
    registrations.statuses([other])
    poll(registrations)
    looks = service.looks
    registrations.statuses([other])
    assert service.looks == looks
