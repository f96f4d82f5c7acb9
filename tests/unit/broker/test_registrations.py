"""Where registrations outlive a process: what settings list stands beside what is kept."""

import pytest

from broker.errors import FixedBackend
from broker.model import Backend
from broker.registrations import Forgotten, Registered, WithFixed
from tests.factories import BACKEND, a_backend
from tests.fakes.clock import NOON
from wire.protocol import BackendId

OTHER = BackendId("other")


class Kept(Forgotten):
    """Registrations in a list."""

    def __init__(self, *kept: Registered) -> None:
        self.kept = {each.backend.backend_id: each for each in kept}

    def load(self) -> list[Registered]:
        return list(self.kept.values())

    def put(self, backend: Backend) -> None:
        self.kept[backend.backend_id] = Registered(backend)

    def delete(self, backend_id: BackendId) -> None:
        del self.kept[backend_id]

    def note_used(self, backend_id: BackendId, used: object) -> None:
        self.kept[backend_id] = Registered(self.kept[backend_id].backend, NOON)

    def close(self) -> None:
        self.kept.clear()


def test_what_is_forgotten_is_never_there() -> None:
    forgotten = Forgotten()
    forgotten.put(a_backend())
    forgotten.note_used(BACKEND, NOON)
    forgotten.delete(BACKEND)

    assert forgotten.load() == []
    forgotten.close()


def test_fixed_backends_stand_beside_those_that_are_kept() -> None:
    registrations = WithFixed([a_backend()], Kept(Registered(a_backend(OTHER), NOON)))

    assert registrations.load() == [Registered(a_backend(OTHER), NOON), Registered(a_backend())]


def test_of_two_with_one_id_the_fixed_one_counts_and_has_the_past_of_both() -> None:
    kept = Kept(Registered(a_backend(path_prefixes=("/old",)), NOON))

    assert WithFixed([a_backend()], kept).load() == [Registered(a_backend(), NOON)]


def test_a_fixed_backend_is_not_changed() -> None:
    kept = Kept(Registered(a_backend(path_prefixes=("/old",))))
    registrations = WithFixed([a_backend()], kept)

    with pytest.raises(FixedBackend, match="^backend 'notebook' stands in the settings of the proxy$"):
        registrations.put(a_backend())
    with pytest.raises(FixedBackend):
        registrations.delete(BACKEND)
    assert kept.load() == [Registered(a_backend(path_prefixes=("/old",)))]


def test_others_are_changed_where_they_are_kept() -> None:
    kept = Kept()
    registrations = WithFixed([a_backend()], kept)
    registrations.put(a_backend(OTHER))
    registrations.note_used(OTHER, NOON)
    noted = kept.load()
    registrations.delete(OTHER)

    assert (noted, kept.load()) == ([Registered(a_backend(OTHER), NOON)], [])


def test_those_that_are_kept_elsewhere_are_closed() -> None:
    kept = Kept(Registered(a_backend(OTHER)))

    WithFixed([a_backend()], kept).close()

    assert kept.kept == {}
