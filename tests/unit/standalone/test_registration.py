import pytest

from broker.errors import Overloaded
from broker.model import ALL_USERS, Backend
from broker.policy import Policy
from standalone.registration import OpenRegistration
from stores.memory.store import MemoryStore
from tests.factories import seconds
from tests.fakes.clock import FakeClock
from wire.errors import MalformedMessage
from wire.protocol import BackendId


class Desk:
    """A registration with room for two."""

    def __init__(self) -> None:
        self.store = MemoryStore(Policy())
        self.clock = FakeClock()
        self.registration = OpenRegistration(self.store, self.clock, Policy(), limit=2)

    def poll(self, name: str) -> None:
        self.store.touch_backend(self.registration.register(name), polled=self.clock.now())

    @property
    def names(self) -> list[str]:
        return [backend.backend_id for backend in self.store.list_backends()]


def test_a_backend_that_is_named_serves_everybody_everywhere() -> None:
    desk = Desk()

    desk.poll("notebook")

    assert desk.store.list_backends() == [
        Backend(backend_id=BackendId("notebook"), backend_user="", end_user=ALL_USERS, path_prefixes=("/",))
    ]


def test_a_backend_that_is_named_again_stays_as_it_is() -> None:
    desk = Desk()

    desk.poll("notebook")
    desk.poll("notebook")

    assert desk.names == ["notebook"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "a" * 257])
def test_what_cannot_name_a_backend_is_refused(name: str) -> None:
    with pytest.raises(MalformedMessage):
        Desk().poll(name)


def test_no_more_backends_than_allowed_are_online_at_a_time() -> None:
    desk = Desk()
    desk.poll("a")
    desk.poll("b")

    with pytest.raises(Overloaded):
        desk.poll("c")

    assert desk.names == ["a", "b"]


def test_the_backend_that_is_offline_for_longest_makes_room() -> None:
    desk = Desk()
    desk.poll("b")
    desk.clock.advance(seconds(1))
    desk.poll("a")
    desk.clock.advance(seconds(1000))

    desk.poll("c")

    assert desk.names == ["a", "c"]


def test_a_backend_whose_agents_have_vanished_makes_room_first() -> None:
    desk = Desk()
    desk.poll("a")
    desk.poll("b")
    desk.store.forget_polls(BackendId("b"))

    desk.poll("c")

    assert desk.names == ["a", "c"]
