"""The counts of several workers as those of one."""

from agent.telemetry.condition import why_not_ready
from agent.telemetry.observer import FinishedExchange
from agent.telemetry.record import BackendRecord
from agent.workers.summing import SummedCounts


def a_record() -> BackendRecord:
    return BackendRecord("notebook", now=lambda: 1.0)


def finish(record: BackendRecord, status: int, *, seconds: float = 0.01) -> None:
    record.exchange_began()
    record.exchange_ended(FinishedExchange("id", "GET", "/", status, 100, seconds, ""))


def test_counts_are_added_up() -> None:
    own, other = a_record(), a_record()
    finish(own, 200)
    finish(other, 200, seconds=0.2)
    finish(other, 404)
    other.exchange_began()
    summed = SummedCounts(own)
    summed.report(2, other.snapshot())
    snapshot = summed.snapshot()
    assert (snapshot.finished, snapshot.in_flight, snapshot.response_bytes) == ({(200, ""): 2, (404, ""): 1}, 1, 300)
    assert (snapshot.exchanges, snapshot.recent) == (3, (0.01, 0.01, 0.2))
    assert (summed.statuses(), summed.backend_id) == ({200: 2, 404: 1}, "notebook")


def test_what_a_worker_has_counted_stays_when_it_ends() -> None:
    summed = SummedCounts(a_record())
    for number in (2, 2, 3):
        worker = a_record()
        finish(worker, 200)
        worker.exchange_began()
        summed.report(number, worker.snapshot())
        assert summed.snapshot().in_flight == 1
        summed.end(number)
    summed.end(4)
    snapshot = summed.snapshot()
    assert (snapshot.finished, snapshot.in_flight, snapshot.recent) == ({(200, ""): 3}, 0, ())


def test_requests_are_answered_if_one_worker_can() -> None:
    own, other = a_record(), a_record()
    own.poll_failed("no connection")
    other.poll_answered()
    summed = SummedCounts(own)
    assert why_not_ready(summed.snapshot()) != ""
    summed.report(2, other.snapshot())
    assert why_not_ready(summed.snapshot()) == ""
    own.draining_began()
    other.draining_began()
    summed.report(2, other.snapshot())
    assert why_not_ready(summed.snapshot()) == "the agent is stopping"


def test_tunnels_are_added_up_and_those_of_a_worker_that_ended_are_open_no_more() -> None:
    own, other = a_record(), a_record()
    for record in (own, other, other):
        record.tunnel_opened()
    summed = SummedCounts(own)
    summed.report(2, other.snapshot())
    before = summed.snapshot()
    summed.end(2)
    after = summed.snapshot()

    assert (before.tunnels_open, before.tunnels_opened) == (3, 3)
    assert (after.tunnels_open, after.tunnels_opened) == (1, 3)
