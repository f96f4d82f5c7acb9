from broker.waiting import Key, PendingKey
from standalone.abandoned import Abandoned
from standalone.presence import AgentName
from tests.factories import BACKEND
from wire.protocol import RequestId

AGENT = AgentName(BACKEND, "agent-1")
FIRST, SECOND = RequestId("first"), RequestId("second")


def nobody(key: Key) -> None:
    """Nobody waits."""


def test_an_agent_that_listens_is_told_once_and_its_poll_is_woken() -> None:
    woken: list[Key] = []
    abandoned = Abandoned(woken.append)
    abandoned.listen(AGENT)
    abandoned.note(AGENT, FIRST)
    abandoned.note(AGENT, SECOND)
    abandoned.listen(AGENT)

    assert woken == [PendingKey(BACKEND)] * 2
    assert (abandoned.has(AGENT), abandoned.take(AGENT)) == (True, [FIRST, SECOND])
    assert (abandoned.has(AGENT), abandoned.take(AGENT)) == (False, [])


def test_an_agent_that_does_not_listen_is_told_nothing() -> None:
    abandoned = Abandoned(nobody)
    abandoned.note(AGENT, FIRST)

    assert (abandoned.has(AGENT), abandoned.take(AGENT)) == (False, [])


def test_what_is_kept_for_agents_that_do_not_come_back_is_bounded() -> None:
    abandoned = Abandoned(nobody)
    abandoned.listen(AGENT)
    for number in range(200):
        abandoned.note(AGENT, RequestId(str(number)))
    for number in range(9_999):
        abandoned.listen(AgentName(BACKEND, str(number)))

    assert len(abandoned.take(AGENT)) == 100
    abandoned.listen(AgentName(BACKEND, "one more"))
    abandoned.note(AGENT, FIRST)
    assert not abandoned.has(AGENT)
