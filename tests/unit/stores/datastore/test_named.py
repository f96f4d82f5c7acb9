"""How much is remembered of what was named. The rest is seen through the store in Datastore."""

from broker.model import LostPolls, Poll
from broker.policy import Policy
from stores.datastore.exchange_records import Record
from stores.datastore.named import NamedRequests
from tests.factories import an_exchange
from tests.fakes.clock import NOON


def a_poll(poll_id: str = "poll-1", agent_id: str = "agent-1") -> Poll:
    return Poll(agent_id=agent_id, poll_id=poll_id, capacity=100)


def records(count: int) -> list[Record]:
    return [Record(an_exchange(f"request-{number}")) for number in range(count)]


def test_no_more_names_are_remembered_than_there_is_room_for() -> None:
    named, many = NamedRequests(Policy()), records(10_001)
    for record in many:
        named.take([record], a_poll(), most=1, now=NOON)
    assert named.without(many, now=NOON) == many[:1]


def test_polls_of_another_agent_are_not_lost() -> None:
    named, one = NamedRequests(Policy()), records(1)
    assert named.take(one, a_poll(), most=1, now=NOON) == one
    named.forget_polls(LostPolls(frozenset(("poll-1",))), agent_id="agent-2")
    named.forget_agent("agent-2")
    assert named.take(one, a_poll("poll-2"), most=1, now=NOON) == []
