"""`standalone.rights`: agents that may not serve any more, between their calls; and what those without a name hold."""

from broker.waiting import Key, PendingKey
from standalone.presence import AgentName
from standalone.rights import Fetched, Fetches, Rights, always
from tests.factories import BACKEND, seconds
from tests.fakes.clock import NOON
from wire.protocol import BackendId, RequestId

FIRST = AgentName(BACKEND, "agent-1")
SECOND = AgentName(BACKEND, "agent-2")


class Bench:
    """Rights, and what was woken."""

    def __init__(self) -> None:
        self.woken: list[Key] = []
        self.rights = Rights(self.woken.append, grace=seconds(5))
        self.good = {FIRST: True, SECOND: True}

    def show(self, agent: AgentName) -> None:
        self.rights.show(agent, lambda: self.good[agent])

    def ended(self, after: float) -> list[AgentName]:
        return self.rights.take_ended(NOON + seconds(after))


def test_an_agent_whose_right_ends_is_named_once_when_its_grace_is_over() -> None:
    bench = Bench()
    bench.show(FIRST)
    bench.show(SECOND)
    before = bench.ended(0)
    bench.good[FIRST] = False

    assert [before, bench.ended(1), bench.ended(5.9), bench.ended(6), bench.ended(60)] == [[], [], [], [FIRST], []]
    assert (bench.rights.has(FIRST), bench.rights.has(SECOND)) == (False, True)


def test_its_polls_are_woken_as_soon_as_it_is_seen() -> None:
    bench = Bench()
    bench.show(FIRST)
    bench.ended(0)
    before = list(bench.woken)
    bench.good[FIRST] = False
    bench.ended(1)

    assert (before, bench.woken) == ([], [PendingKey(BACKEND)])


def test_an_agent_that_shows_a_better_right_in_time_has_lost_nothing() -> None:
    bench = Bench()
    bench.show(FIRST)
    bench.good[FIRST] = False
    bench.ended(1)
    bench.rights.show(FIRST, lambda: True)

    assert [bench.ended(6), bench.ended(600)] == [[], []]
    assert bench.rights.has(FIRST)


def test_a_right_that_comes_back_counts_anew_when_it_ends_again() -> None:
    bench = Bench()
    bench.show(FIRST)
    bench.good[FIRST] = False
    bench.ended(0)
    bench.good[FIRST] = True
    bench.ended(4)
    bench.good[FIRST] = False

    assert [bench.ended(6), bench.ended(11)] == [[], [FIRST]]


def test_nothing_is_known_of_agents_that_do_not_name_themselves() -> None:
    bench = Bench()
    nameless = AgentName(BACKEND, "")
    bench.rights.show(nameless, lambda: False)

    assert (bench.ended(0), bench.ended(60), bench.rights.has(nameless)) == ([], [], False)


def test_only_so_many_agents_of_a_backend_are_remembered_whatever_others_have() -> None:
    bench = Bench()
    bench.show(FIRST)
    another = AgentName(BackendId("another"), "agent-1")
    bench.rights.show(another, lambda: True)
    for number in range(1000):
        bench.rights.show(AgentName(BACKEND, f"other-{number}"), lambda: True)

    assert (bench.rights.has(FIRST), bench.rights.has(another)) == (False, True)


def test_what_does_not_end_is_not_remembered() -> None:
    bench = Bench()
    bench.rights.show(FIRST, always)

    assert not bench.rights.has(FIRST)


ONE = Fetched(BACKEND, RequestId("request-1"))
TWO = Fetched(BACKEND, RequestId("request-2"))


class Fetching:
    """Two requests in the hands of agents without a name, each under a right of its own."""

    def __init__(self) -> None:
        self.there = {ONE, TWO}
        self.good = {ONE: True, TWO: True}
        self.fetches = Fetches(lambda *fetched: fetched in self.there, grace=seconds(5))
        for fetched in (ONE, TWO):
            self.show(fetched)

    def show(self, fetched: Fetched) -> None:
        self.fetches.show(fetched, lambda: self.good[fetched])

    def ended(self, after: float) -> list[Fetched]:
        return self.fetches.take_ended(NOON + seconds(after))


def test_a_request_whose_right_ends_is_named_once_when_its_grace_is_over() -> None:
    fetching = Fetching()
    before = fetching.ended(0)
    fetching.good[ONE] = False

    assert [before, *(fetching.ended(after) for after in (1, 5.9, 6, 60))] == [[], [], [], [ONE], []]


def test_a_request_for_which_a_better_right_is_shown_in_time_stays() -> None:
    fetching = Fetching()
    fetching.good[ONE] = False
    fetching.ended(1)
    fetching.fetches.show(ONE, lambda: True)

    assert [fetching.ended(6), fetching.ended(600)] == [[], []]


def test_a_request_that_is_gone_is_forgotten() -> None:
    fetching = Fetching()
    fetching.good[ONE] = False
    fetching.ended(0)
    fetching.there.remove(ONE)
    fetching.ended(1)
    fetching.there.add(ONE)

    assert [fetching.ended(6), fetching.ended(600)] == [[], []]


def test_of_a_request_whose_right_does_not_end_nothing_is_remembered() -> None:
    asked: list[object] = []
    fetches = Fetches(lambda *fetched: not asked.append(fetched))
    fetches.show(ONE, always)

    assert (fetches.take_ended(NOON), asked) == ([], [])
