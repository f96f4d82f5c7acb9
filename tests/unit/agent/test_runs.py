"""What runs and what is to; together with a loop that asks: `test_poller.py`."""

import queue
import threading
from collections.abc import Callable, Sequence

import pytest

from agent.crew import Crew
from agent.messages import Listed, Request, id_of
from agent.runs import End, Runs, RunTogether
from agent.slots import Slots
from tests.timing import SECOND
from wire.headers import Headers
from wire.http1 import RequestHead
from wire.protocol import RequestId


def a_request(name: str) -> Request:
    return Request(RequestId(name), "", RequestHead("GET", "/", Headers(), None), b"")


class Bench:
    """Notes what runs, and ends it when it is told to."""

    def __init__(self, *, concurrency: int = 4, together: RunTogether | None = None) -> None:
        self.ran: queue.Queue[str] = queue.Queue()
        self.ends: list[End] = []
        self.drained: list[bool] = []
        self.is_interrupted = False
        self.slots = Slots(concurrency)
        self.runs = Runs(
            self.run,
            together,
            slots=self.slots,
            crew=Crew("exchange"),
            is_interrupted=lambda: self.is_interrupted,
            on_drained=lambda: self.drained.append(True),
        )

    def run(self, listed: Listed, end: End) -> None:
        self.ends.append(end)
        self.ran.put(id_of(listed))

    def names(self, count: int) -> list[str]:
        return sorted(self.ran.get(timeout=10 * SECOND) for _ in range(count))


def do(task: Callable[[], None] | None) -> None:
    assert task is not None
    task()


def test_the_first_is_for_who_asked_and_the_others_run_meanwhile() -> None:
    bench = Bench()
    mine = bench.runs.begin([RequestId("a"), RequestId("b"), RequestId("c")])
    others = bench.names(2)
    do(mine)

    assert (others, bench.names(1), bench.slots.running) == (["b", "c"], ["a"], 3)


def test_nothing_new_is_nothing_to_do() -> None:
    assert Bench().runs.begin([]) is None


def test_what_is_here_together_runs_together() -> None:
    ran: list[Sequence[str]] = []

    def together(requests: Sequence[tuple[Request, End]]) -> None:
        ran.append([request.request_id for request, _ in requests])

    bench = Bench(together=together)
    do(bench.runs.begin([a_request("a"), a_request("b")]))
    do(bench.runs.begin([a_request("c")]))

    assert (ran, bench.names(1)) == ([["a", "b"]], ["c"])


def test_an_error_of_those_that_run_together_ends_each(caplog: pytest.LogCaptureFixture) -> None:
    def together(requests: Sequence[tuple[Request, End]]) -> None:
        requests[0][1]()
        raise ZeroDivisionError

    bench = Bench(together=together)
    bench.slots.running = 2  # as whoever asked has counted them
    do(bench.runs.begin([a_request("a"), a_request("b")]))

    assert bench.slots.running == 0
    assert "a and others: the agent failed" in caplog.messages


def test_what_is_interrupted_is_left_over_once() -> None:
    bench = Bench()
    bench.is_interrupted = True

    assert bench.runs.begin([RequestId("a"), RequestId("b")]) is None
    assert (bench.runs.take_left_over(), bench.runs.take_left_over()) == (["a", "b"], [])


def test_what_was_left_over_can_be_begun_all_the_same_until_the_end() -> None:
    bench = Bench()
    bench.is_interrupted = True
    was_begun = bench.runs.begin_late(RequestId("late"))
    names = bench.names(1)
    bench.runs.close()

    assert (was_begun, names, bench.runs.begin_late(RequestId("too late"))) == (True, ["late"], False)


def test_the_end_wakes_what_waits_for_room() -> None:
    bench = Bench(concurrency=0)
    begun: list[bool] = []
    waiting = threading.Thread(target=lambda: begun.append(bench.runs.begin_late(RequestId("late"))))
    waiting.start()
    bench.runs.close()
    waiting.join(10 * SECOND)

    assert begun == [False]


def test_it_is_drained_when_it_is_closed_and_nothing_runs() -> None:
    bench = Bench()
    do(bench.runs.begin([RequestId("a")]))
    bench.runs.close()
    before = list(bench.drained)
    bench.ends[0]()
    bench.ends[0]()
    bench.runs.close()

    assert (before, bench.drained, bench.slots.running) == ([], [True], 0)
