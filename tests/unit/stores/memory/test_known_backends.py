"""The registrations of a store in memory: kept first, then known. What is found for whom is the contract's to test."""

import pytest

from broker.errors import StoreUnavailable, UnknownBackend
from broker.model import Backend
from broker.registrations import Forgotten, Registered
from stores.memory.known_backends import KnownBackends
from tests.factories import BACKEND, a_backend
from wire.protocol import BackendId


class Full(Forgotten):
    """Registrations on a disk that is full."""

    def load(self) -> list[Registered]:
        return [Registered(a_backend())]

    def put(self, backend: Backend) -> None:
        raise StoreUnavailable("the disk is full")

    def delete(self, backend_id: BackendId) -> None:
        raise StoreUnavailable("the disk is full")


def test_what_was_kept_is_known_from_the_start() -> None:
    known = KnownBackends(Full())

    assert (known.list_all(), known.find("me@example.com"), BACKEND in known) == ([a_backend()], [a_backend()], True)


def test_what_could_not_be_kept_does_not_count() -> None:
    known = KnownBackends(Full())

    with pytest.raises(StoreUnavailable):
        known.put(a_backend(path_prefixes=("/new",)))
    with pytest.raises(StoreUnavailable):
        known.delete(BACKEND)
    assert known.list_all() == [a_backend()]


def test_nobody_is_asked_to_forget_what_is_not_there() -> None:
    with pytest.raises(UnknownBackend, match="^no backend 'nobody' is registered$"):
        KnownBackends(Full()).delete(BackendId("nobody"))


def test_who_moves_to_another_user_is_found_there_alone() -> None:
    known = KnownBackends(Forgotten())
    known.put(a_backend(end_user="old@example.com"))
    known.put(a_backend(end_user="new@example.com"))

    assert (known.find("old@example.com"), known.find("new@example.com")) == (
        [],
        [a_backend(end_user="new@example.com")],
    )


def test_the_hosts_are_those_of_all_that_are_registered_and_of_none_that_was() -> None:
    known = KnownBackends(Forgotten())
    known.put(a_backend(end_user="me@example.com", hosts=("a.org", "*.b.org")))
    known.put(a_backend("other", hosts=("*.b.org", "c.org")))

    assert known.hosts == {"a.org", "*.b.org", "c.org"}
    known.delete(BACKEND)
    known.put(a_backend("other", hosts=("d.org",)))
    assert known.hosts == {"d.org"}
