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


def test_a_backend_with_too_many_agents_leaves_room_for_those_of_others_and_has_some_again_when_one_is_gone() -> None:
    presence = Presence(Policy(), grace=seconds(5), share=1)
    presence.call_opened(FIRST)
    presence.call_opened(AgentName(BackendId("another"), "agent-1"))
    with pytest.raises(Overloaded):
        presence.call_opened(SECOND)
    presence.call_closed(FIRST, now=NOON, broke_off=True)
    lost_at(presence, 5)
    presence.call_opened(SECOND)

    with pytest.raises(Overloaded):
        presence.call_opened(FIRST)


def test_an_account_with_too_many_agents_leaves_room_for_those_of_others_whatever_backends_it_has() -> None:
    presence = Presence(Policy(), grace=seconds(5), account_share=1)
    elsewhere = AgentName(BackendId("another"), "agent-1")
    presence.call_opened(FIRST, account="greedy")
    with pytest.raises(Overloaded, match="of this account"):
        presence.call_opened(elsewhere, account="greedy")
    presence.call_opened(elsewhere, account="other")
    presence.call_closed(FIRST, now=NOON, broke_off=True)
    lost_at(presence, 5)
    presence.call_opened(SECOND, account="greedy")

    with pytest.raises(Overloaded):
        presence.call_opened(FIRST, account="greedy")


def test_an_agent_that_hangs_up_right_after_an_answer_is_lost_when_its_grace_is_over() -> None:
    presence = Presence(Policy(), grace=seconds(5))
    presence.call_opened(FIRST)
    presence.call_closed(FIRST, now=NOON, broke_off=False)
    presence.has_hung_up(FIRST, now=NOON + seconds(4))

    assert (lost_at(presence, 8.9), presence.has_agents(BACKEND)) == ([], True)
    assert (lost_at(presence, 9), presence.has_agents(BACKEND)) == ([FIRST], False)


def test_an_agent_that_hangs_up_and_calls_again_is_not_lost() -> None:
    presence = Presence(Policy(backend_online=seconds(75)), grace=seconds(5))
    presence.call_opened(FIRST)
    presence.call_closed(FIRST, now=NOON, broke_off=False)
    presence.has_hung_up(FIRST, now=NOON)
    presence.call_opened(FIRST)
    presence.call_closed(FIRST, now=NOON + seconds(4), broke_off=False)

    assert (lost_at(presence, 74), presence.has_agents(BACKEND)) == ([], True)


@pytest.mark.parametrize("is_calling", [True, False], ids=["while it calls", "long after its last call"])
def test_an_agent_that_hangs_up_says_nothing_by_it(is_calling: bool) -> None:
    presence = Presence(Policy(backend_online=seconds(75)), grace=seconds(5))
    presence.call_opened(FIRST)
    if not is_calling:
        presence.call_closed(FIRST, now=NOON, broke_off=False)
    presence.has_hung_up(FIRST, now=NOON + seconds(5))

    assert (lost_at(presence, 74), presence.has_agents(BACKEND)) == ([], True)


def test_an_agent_that_hangs_up_when_it_has_been_forgotten_stays_so() -> None:
    presence = Presence(Policy())
    presence.has_hung_up(FIRST, now=NOON)

    assert not presence.has_agents(BACKEND)


def test_an_agent_that_has_left_does_not_count_when_its_grace_is_over() -> None:
    presence = Presence(Policy(), grace=seconds(5))
    presence.call_opened(FIRST)  # what it still has to answer
    presence.call_opened(FIRST)
    presence.has_left(FIRST, now=NOON)
    presence.call_closed(FIRST, now=NOON, broke_off=False)

    assert (presence.take_left(NOON + seconds(4.9)), presence.has_agents(BACKEND)) == (set(), True)
    assert (presence.take_left(NOON + seconds(5)), presence.has_agents(BACKEND)) == ({BACKEND}, False)
    assert presence.take_left(NOON + seconds(6)) == set()
    assert lost_at(presence, 1000) == []
    presence.call_closed(FIRST, now=NOON, broke_off=True)
    assert lost_at(presence, 5) == [FIRST]


def test_an_agent_that_has_left_and_is_done_is_forgotten_and_not_lost() -> None:
    presence = Presence(Policy(backend_online=seconds(75)), grace=seconds(5))
    presence.call_opened(FIRST)
    presence.has_left(FIRST, now=NOON)
    presence.call_closed(FIRST, now=NOON, broke_off=False)

    assert presence.take_left(NOON + seconds(5)) == {BACKEND}
    assert lost_at(presence, 5) == []
    presence.call_opened(FIRST)
    assert presence.has_agents(BACKEND)


def test_an_agent_that_polls_again_counts_again() -> None:
    presence = Presence(Policy(), grace=seconds(5))
    presence.call_opened(FIRST)
    presence.has_left(FIRST, now=NOON)
    presence.take_left(NOON + seconds(5))
    presence.has_polled(FIRST)

    assert presence.has_agents(BACKEND)
    assert presence.take_left(NOON + seconds(10)) == set()


def test_an_agent_that_has_lost_its_right_does_not_count_until_it_polls_again() -> None:
    presence = Presence(Policy())
    presence.has_lost_its_right(FIRST)
    presence.call_opened(FIRST)
    presence.has_lost_its_right(FIRST)
    lost = presence.has_agents(BACKEND)
    presence.has_polled(FIRST)

    assert (lost, presence.has_agents(BACKEND)) == (False, True)


def test_a_backend_takes_upgrades_while_an_agent_is_there_whose_last_poll_said_so() -> None:
    presence = Presence(Policy(), grace=seconds(5))
    presence.call_opened(FIRST)
    presence.has_polled(FIRST)
    presence.call_opened(SECOND)
    presence.has_polled(SECOND, takes_upgrades=True)
    both = presence.takes_upgrades(BACKEND)
    presence.has_polled(SECOND)
    neither = presence.takes_upgrades(BACKEND)
    presence.has_polled(SECOND, takes_upgrades=True)
    presence.has_left(SECOND, now=NOON)
    presence.take_left(NOON + seconds(5))

    assert (both, neither, presence.takes_upgrades(BACKEND)) == (True, False, False)
    assert not presence.takes_upgrades(BackendId("another"))
