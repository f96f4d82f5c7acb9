"""The exchanges of a backend in memory, and the polls that are lost."""

from dataclasses import replace
from datetime import timedelta

from broker import exchange as rules
from broker.assignment import Roster
from broker.batches import Room
from broker.model import HandedOut, Poll, Sharing, State
from broker.policy import Policy
from stores.memory.queues import LostPollNames, Queue, Record
from stores.memory.window import Memory, Window
from tests.factories import BACKEND, an_exchange
from tests.fakes.clock import NOON
from wire.protocol import MAX_ENTRY_BYTES

POLICY = Policy()
POLL = Poll(agent_id="agent-1", poll_id="poll-1", capacity=10)


def a_record(name: str, request: bytes = b"GET", *, last: bool = True) -> Record:
    record = Record(an_exchange(name), Window(4 * MAX_ENTRY_BYTES, Memory(1 << 30)), Window(0, Memory(1 << 30)))
    record.request.append(0, request, last=last)
    return record


def a_queue(*records: Record) -> Queue:
    queue = Queue(Roster(POLICY))
    for record in records:
        queue.add(record)
    return queue


def hand_out(queue: Queue) -> list[HandedOut]:
    return queue.hand_out(POLL, Room(POLL, POLICY), Sharing.PULL, now=NOON, policy=POLICY)


def test_what_is_handed_out_waits_no_more() -> None:
    queue = a_queue(a_record("r1"), a_record("r2"))

    assert [(each.exchange.request_id, each.request) for each in hand_out(queue)] == [("r1", b"GET"), ("r2", b"GET")]
    assert (list(queue.records), list(queue.waiting)) == (["r1", "r2"], [])


def test_what_is_only_offered_waits_still() -> None:
    queue = a_queue(a_record("long", bytes(MAX_ENTRY_BYTES + 1)), a_record("coming", last=False))

    assert [each.request for each in hand_out(queue)] == [None, None]
    assert list(queue.waiting) == ["long", "coming"]
    assert hand_out(queue) == []


def test_what_comes_back_is_before_all_others_in_its_old_order() -> None:
    queue = a_queue(a_record("r1"), a_record("r2"))
    hand_out(queue)
    queue.add(a_record("r3"))
    queue.requeue([queue.records["r1"], queue.records["r2"]], Record.take_back)  # type: ignore[index]

    assert list(queue.waiting) == ["r1", "r2", "r3"]


def test_what_fails_at_its_agents_end_does_not_come_back() -> None:
    record = a_record("r1")
    record.exchange = rules.fetch(an_exchange("r1", method="POST"), agent_id="agent-1", now=NOON, policy=POLICY)
    queue = a_queue()
    queue.requeue([record], Record.release)

    assert (list(queue.waiting), record.exchange.failure) == ([], "agent-lost")


def test_a_request_that_comes_back_is_read_anew() -> None:
    record = a_record("r1")
    record.request.read(3)
    record.exchange = rules.hand_out(record.exchange, POLL, now=NOON, policy=POLICY, is_whole=True)
    record.take_back()

    assert record.request.read_up_to == 0


def test_lost_polls_are_known_by_backend_and_agent_for_a_while() -> None:
    names = LostPollNames()
    names.add(BACKEND, "agent-1", ["poll-1"], until=NOON)

    assert names.has(BACKEND, POLL)
    assert not names.has(BACKEND, Poll(agent_id="agent-2", poll_id="poll-1", capacity=1))
    names.sweep(NOON - timedelta(seconds=1))
    assert names.has(BACKEND, POLL)
    names.sweep(NOON)
    assert not names.has(BACKEND, POLL)


def test_of_too_many_lost_polls_the_oldest_are_forgotten() -> None:
    names = LostPollNames()
    names.add(BACKEND, "agent-1", ["poll-1"], until=NOON)
    names.add(BACKEND, "agent-1", [f"p{number}" for number in range(LostPollNames.CAPACITY)], until=NOON)

    assert not names.has(BACKEND, POLL)
    assert names.has(BACKEND, Poll(agent_id="agent-1", poll_id="p0", capacity=1))


def test_a_poll_that_only_offers_gives_nothing_away() -> None:
    queue = a_queue(a_record("r1"))
    poll = replace(POLL, offers_only=True)

    [handed] = queue.hand_out(poll, Room(poll, POLICY), Sharing.PULL, now=NOON, policy=POLICY)

    assert (handed.exchange.state, handed.request) == (State.OFFERED, None)
    assert list(queue.waiting) == ["r1"]
