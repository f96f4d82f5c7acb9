"""Which of several agents gets a request."""

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from broker.affinity import tag_of
from broker.assignment import Roster, nearest
from broker.policy import Policy
from tests.factories import an_exchange, seconds
from tests.fakes.clock import NOON

POLICY = Policy()
NAMES = st.lists(st.text("abcdef", min_size=1, max_size=5), min_size=1, max_size=6, unique=True)


def at(second: float) -> datetime:
    return NOON + seconds(second)


def roster(*names: str, since: float = 0) -> Roster:
    agents = Roster(POLICY)
    for name in names:
        agents.asks(name, at(since))
    return agents


def active(agents: Roster, second: float, *, busy: tuple[str, ...] = ()) -> list[str]:
    """Which of the agents that count would take all, each asked in turn."""
    counting = agents.counting(at(second), busy=busy)
    return [name for name in ("a", "b", "c") if agents.is_active(name, counting)]


def takers(agents: Roster, affinity: str, second: float = 100) -> list[str]:
    """Which of three agents may have a request of this affinity."""
    for name in [name for name in ("a", "b", "c") if name in agents.counting(at(0), busy=())]:
        agents.asks(name, at(second))
    counting = agents.counting(at(second), busy=())
    exchange = an_exchange(affinity=affinity)
    return [name for name in ("a", "b", "c") if agents.may_take(exchange, name, counting, at(second))]


def test_an_agent_counts_while_it_asks_and_for_a_while_after() -> None:
    agents = roster("a")

    assert agents.counting(at(12), busy=()) == ["a"]
    assert agents.counting(at(12.1), busy=()) == []


def test_an_agent_that_works_counts_however_long_it_has_been_silent() -> None:
    agents = roster("a", "b")

    assert agents.counting(at(1000), busy={"b"}) == ["b"]


def test_an_agent_that_leaves_counts_no_more_until_it_asks_again() -> None:
    agents = roster("a", "b")
    assert [agents.leaves("a"), agents.leaves("a")] == [True, False]
    assert agents.counting(at(1), busy={"a"}) == ["b"]

    agents.asks("a", at(2))

    assert agents.counting(at(2), busy=()) == ["b", "a"]


def test_an_agent_that_lets_an_offer_lie_is_doubted_while_its_poll_may_last_or_until_it_takes_something() -> None:
    agents = roster("a", "b")
    agents.lets_lie("a", at(5))
    agents.lets_lie("nobody", at(5))
    agents.asks("a", at(6))
    agents.asks("b", at(6))
    assert agents.counting(at(6), busy=()) == ["b"]

    agents.takes("nobody")
    agents.takes("a")
    assert agents.counting(at(6), busy=()) == ["a", "b"]

    agents.lets_lie("a", at(7))
    agents.asks("a", at(37))
    assert agents.counting(at(37), busy=()) == ["a"]


def test_one_agent_is_active_and_stays_so() -> None:
    agents = roster("b", "a")
    assert active(agents, 1) == ["b"]

    agents.asks("c", at(2))

    assert active(agents, 3) == ["b"]


def test_after_the_active_one_comes_who_has_been_there_for_longest() -> None:
    agents = roster("a", "b", "c")
    assert active(agents, 0) == ["a"]

    agents.leaves("a")

    assert active(agents, 1) == ["b"]


def test_who_comes_back_does_not_take_over_again() -> None:
    agents = roster("a", "b")
    assert active(agents, 0) == ["a"]
    agents.leaves("a")
    assert active(agents, 1) == ["b"]

    agents.asks("a", at(2))

    assert active(agents, 3) == ["b"]


def test_a_busy_active_agent_is_not_replaced() -> None:
    agents = roster("a", "b")
    assert active(agents, 0) == ["a"]
    agents.asks("b", at(60))

    assert active(agents, 60, busy=("a",)) == ["a"]
    assert active(agents, 60) == ["b"]


def test_where_nobody_counts_whoever_asks_is_active() -> None:
    assert Roster(POLICY).is_active("a", [])


def test_a_request_without_an_affinity_is_for_anybody() -> None:
    assert takers(roster("a", "b", "c"), "") == ["a", "b", "c"]


def test_a_request_goes_to_the_agent_that_it_names() -> None:
    assert [takers(roster("a", "b", "c"), tag_of(name)) for name in ("a", "b", "c")] == [["a"], ["b"], ["c"]]


def test_a_request_that_names_an_agent_that_has_gone_goes_to_one_other_and_always_the_same() -> None:
    first = takers(roster("a", "b"), tag_of("gone"))

    assert first in (["a"], ["b"])
    assert takers(roster("b", "a"), tag_of("gone")) == first


def test_a_user_without_a_cookie_has_one_agent() -> None:
    assert len(takers(roster("a", "b", "c"), "me@example.com")) == 1


def test_after_a_start_an_agent_that_is_named_is_waited_for_and_not_for_long() -> None:
    agents = roster("a", "b")

    assert takers(agents, tag_of("c"), 4) == []
    assert takers(agents, "me@example.com", 4) != []
    assert takers(agents, tag_of("c"), 5.1) != []


def test_nobody_waits_for_an_agent_that_is_known_to_have_gone() -> None:
    agents = roster("a", "b", "c")
    agents.leaves("c")

    assert takers(agents, tag_of("c"), 1) != []


def test_where_nobody_counts_whoever_asks_may_have_it() -> None:
    assert Roster(POLICY).may_take(an_exchange(affinity="me@x"), "a", [], NOON)


def test_there_is_a_bound_to_agents_that_are_told_apart() -> None:
    agents = roster(*(f"agent-{number}" for number in range(1001)))

    assert len(agents.counting(at(0), busy=())) == 1000


@given(NAMES, st.text(max_size=5), st.randoms())
def test_the_nearest_does_not_depend_on_the_order(names: list[str], affinity: str, random: object) -> None:
    assert nearest(affinity, names) == nearest(affinity, names[::-1]) in names


@given(NAMES.filter(lambda names: len(names) > 1), st.text(max_size=5))
def test_only_those_move_whose_agent_goes(names: list[str], affinity: str) -> None:
    chosen = nearest(affinity, names)
    for gone in names:
        left = [name for name in names if name != gone]
        assert gone == chosen or nearest(affinity, left) == chosen


def test_users_are_spread_over_all() -> None:
    counts = [sum(nearest(f"user-{number}", "abcd") == name for number in range(1000)) for name in "abcd"]

    assert min(counts) > 180
