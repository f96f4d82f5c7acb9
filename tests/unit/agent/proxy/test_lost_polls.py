"""What is said of lost polls, and for how long."""

from agent.proxy.lost_polls import LostPolls
from wire.negotiation import MAX_NAMES_LENGTH
from wire.protocol import LOST_POLL, RECEIVED, RequestId


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_nothing_is_said_when_nothing_was_lost() -> None:
    assert LostPolls(now=Clock()).fields() == []


def test_all_of_the_last_seconds_are_named_each_time_with_what_arrived() -> None:
    clock = Clock()
    lost = LostPolls(now=clock)
    lost.add("p1", [RequestId("a"), RequestId("b")])
    clock.seconds = 30.0
    lost.add("p2", [])
    lost.add("p3", [RequestId("c")])
    said = [(LOST_POLL, "p1 p2 p3"), (RECEIVED, "a b c")]
    assert (lost.fields(), lost.fields()) == (said, said)
    clock.seconds = 41.0
    assert lost.fields() == [(LOST_POLL, "p2 p3"), (RECEIVED, "c")]
    clock.seconds = 71.0
    assert lost.fields() == []


def test_what_would_be_too_long_is_cut_by_the_oldest_polls() -> None:
    lost = LostPolls(now=Clock())
    for number in range(50):
        lost.add(f"{number:0100d}", [RequestId(f"{number:050d}")])
    [(_, polls), (_, received)] = lost.fields()
    assert len(polls) <= MAX_NAMES_LENGTH
    assert [int(name) for name in polls.split(" ")] == list(range(50 - 40, 50))
    assert len(received.split(" ")) == 40
