import pytest

from broker.errors import Overloaded
from broker.policy import Policy
from standalone.presence import AgentName, Presence
from tests.factories import BACKEND, seconds
from tests.fakes.clock import NOON
from wire.protocol import BackendId

FIRST = AgentName(BACKEND, "agent-1")
SECOND = AgentName(BACKEND, "agent-2")


def lost_at(presence: Presence, after: float) -> list[AgentName]:
    return list(presence.take_lost(NOON + seconds(after)))


def test_an_agent_whose_call_broke_off_is_lost_when_its_grace_is_over() -> None:
    presence = Presence(Policy(), grace=seconds(5))
    presence.call_opened(FIRST)
    presence.call_closed(FIRST, now=NOON, broke_off=True)

    assert (lost_at(presence, 4.9), presence.has_agents(BACKEND)) == ([], True)
    assert (lost_at(presence, 5), presence.has_agents(BACKEND)) == ([FIRST], False)
    assert lost_at(presence, 6) == []


def test_an_agent_that_calls_again_is_not_lost() -> None:
    presence = Presence(Policy(), grace=seconds(5))
    presence.call_opened(FIRST)
    presence.call_closed(FIRST, now=NOON, broke_off=True)
    presence.call_opened(FIRST)

    assert (lost_at(presence, 1000), presence.has_agents(BACKEND)) == ([], True)


def test_an_agent_with_another_call_under_way_is_not_lost() -> None:
    presence = Presence(Policy(), grace=seconds(5))
    presence.call_opened(FIRST)
    presence.call_opened(FIRST)
    presence.call_closed(FIRST, now=NOON, broke_off=True)

    assert lost_at(presence, 1000) == []


def test_an_answer_that_was_sent_is_a_sign_of_life() -> None:
    presence = Presence(Policy(), grace=seconds(5))
    presence.call_opened(FIRST)
    presence.call_opened(FIRST)
    presence.call_closed(FIRST, now=NOON, broke_off=True)
    presence.call_closed(FIRST, now=NOON, broke_off=False)

    assert (lost_at(presence, 6), presence.has_agents(BACKEND)) == ([], True)


def test_an_agent_that_was_answered_and_does_not_call_again_is_forgotten_and_not_lost() -> None:
    presence = Presence(Policy(backend_online=seconds(75)), grace=seconds(5))
    presence.call_opened(FIRST)
    presence.call_closed(FIRST, now=NOON, broke_off=False)

    assert (lost_at(presence, 74), presence.has_agents(BACKEND)) == ([], True)
    assert (lost_at(presence, 75), presence.has_agents(BACKEND)) == ([], False)


def test_agents_are_there_each_for_itself_and_for_its_own_backend() -> None:
    presence = Presence(Policy(), grace=seconds(5))
    presence.call_opened(FIRST)
    presence.call_opened(SECOND)
    presence.call_closed(FIRST, now=NOON, broke_off=True)

    assert (lost_at(presence, 5), presence.has_agents(BACKEND)) == ([FIRST], True)
    assert not presence.has_agents(BackendId("elsewhere"))


def test_only_so_many_agents_are_known_at_a_time() -> None:
    presence = Presence(Policy(), capacity=1)
    presence.call_opened(FIRST)
    presence.call_opened(FIRST)

    with pytest.raises(Overloaded):
        presence.call_opened(SECOND)
