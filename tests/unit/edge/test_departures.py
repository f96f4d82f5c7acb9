from edge.departures import Departures
from tests.factories import BACKEND
from wire.protocol import BackendId


def test_a_poll_knows_of_departures_since_it_began_and_of_its_own_agent_alone() -> None:
    departures = Departures()
    departures.note(BACKEND, "a")
    has_left = departures.watch(BACKEND, "a")
    assert not has_left()
    departures.note(BACKEND, "b")
    departures.note(BackendId("other"), "a")
    assert not has_left()
    departures.note(BACKEND, "a")
    assert has_left()
    assert not departures.watch(BACKEND, "a")()


def test_of_too_many_agents_the_oldest_departure_is_forgotten() -> None:
    departures = Departures(capacity=2)
    departures.note(BACKEND, "a")
    forgotten, kept = departures.watch(BACKEND, "a"), departures.watch(BACKEND, "c")
    departures.note(BACKEND, "b")
    departures.note(BACKEND, "d")
    # Its poll ends early, and the agent polls again.
    assert (forgotten(), kept()) == (True, False)
