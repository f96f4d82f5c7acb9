"""The loops that wait, in simulated time: no test here takes any."""

from collections.abc import Generator
from datetime import timedelta

import pytest

from broker.errors import BackendOffline, BrokenAnswer, NoAnswer, UnknownRequest
from broker.exchange import offer
from broker.model import Part
from broker.waiting import ExchangeKey, PendingKey, Wait, drive, wait_for_pending
from tests.factories import BACKEND, REQUEST, an_exchange, seconds
from tests.fakes.clock import NOON
from tests.fakes.waiter import PollingWaiter
from tests.scene import AGENT, POLICY, Scene

KEY = ExchangeKey(REQUEST)


# The poll


def test_a_poll_takes_what_is_there_at_once() -> None:
    scene = Scene()
    scene.add()

    assert (scene.poll(), scene.elapsed, scene.waiter.waits) == ([REQUEST], 0, [])


def test_a_poll_takes_what_arrives_while_it_waits() -> None:
    scene = Scene()
    scene.script((12, scene.add))

    assert (scene.poll(), scene.elapsed) == ([REQUEST], 12)


def test_a_poll_without_work_is_empty_after_thirty_seconds() -> None:
    scene = Scene()

    assert (scene.poll(), scene.elapsed) == ([], 30)


def test_forty_two_seconds_of_polls_take_no_time() -> None:
    scene = Scene()
    scene.script((42, lambda: scene.add(exchange=an_exchange(started=scene.clock.now()))))

    assert (scene.poll(), scene.poll(), scene.elapsed) == ([], [REQUEST], 42)


def test_a_poll_that_takes_upgrades_gets_what_others_do_not() -> None:
    scene = Scene()
    scene.add(exchange=an_exchange(upgrade="websocket", started=NOON + seconds(29)))
    taking = wait_for_pending(scene.store, scene.clock, POLICY, BACKEND, agent_id=AGENT, takes_upgrades=True)

    assert (scene.poll(), drive(taking, scene.waiter)) == ([], [REQUEST])


def test_a_poll_gets_what_another_agent_let_lapse() -> None:
    scene = Scene()
    scene.add(exchange=offer(an_exchange(), agent_id="gone", now=NOON, policy=POLICY))

    assert (scene.poll(), scene.elapsed) == ([REQUEST], 5)


def test_a_poll_does_not_get_what_another_agent_fetched() -> None:
    scene = Scene()
    scene.add()
    scene.fetch()

    assert (scene.poll("agent-2"), scene.elapsed) == ([], 30)


def test_a_poll_says_what_it_waits_for_how_long_and_since_when() -> None:
    scene = Scene()
    scene.poll()

    assert scene.waiter.waits == [Wait(PendingKey(BACKEND), seconds(5), seconds(5 * count)) for count in range(6)]


def test_a_poll_over_a_store_that_wakes_nobody_is_quick_at_first_and_bounded() -> None:
    scene, slept = Scene(), list[float]()

    def sleep(pause: float) -> None:
        slept.append(pause)
        scene.clock.sleep(pause)

    assert (
        drive(
            wait_for_pending(scene.store, scene.clock, POLICY, BACKEND, agent_id=AGENT),
            PollingWaiter(POLICY, sleep=sleep),
        )
        == []
    )
    assert scene.elapsed == 30
    assert (slept[0], max(slept)) == (0.015, POLICY.poll_slowest.total_seconds())
    assert len(slept) < 100


def test_a_poll_ends_when_its_agent_has_left() -> None:
    scene = Scene()
    left: list[bool] = []

    def sleep(pause: float) -> None:
        left.append(True)
        scene.add()

    polling = wait_for_pending(scene.store, scene.clock, POLICY, BACKEND, agent_id=AGENT, is_over=lambda: bool(left))
    assert drive(polling, PollingWaiter(POLICY, sleep=sleep)) == []
    assert scene.poll(agent_id="another") == [REQUEST]


def test_what_is_claimed_while_its_agent_leaves_is_given_back() -> None:
    scene = Scene()
    scene.add()
    answers = iter([False, True])
    polling = wait_for_pending(scene.store, scene.clock, POLICY, BACKEND, agent_id=AGENT, is_over=lambda: next(answers))
    assert drive(polling, PollingWaiter(POLICY, sleep=scene.clock.sleep)) == []
    assert scene.poll(agent_id="another") == [REQUEST]


# The request, read for an agent


def test_a_request_that_is_there_is_read_at_once() -> None:
    scene = Scene()
    scene.add(b"GET /")

    assert (scene.read_request(), scene.elapsed) == (Part(0, b"GET /", True), 0)


def test_more_of_a_request_is_read_when_it_comes() -> None:
    scene = Scene()
    scene.add(b"POST", last=False)
    scene.script((29, lambda: scene.store.append_request(BACKEND, REQUEST, 4, b" /", last=True, now=NOON)))

    assert (scene.read_request(4), scene.elapsed) == (Part(4, b" /", True), 29)


def test_a_client_that_stops_sending_is_given_up() -> None:
    scene = Scene()
    scene.add(b"POST", last=False)

    with pytest.raises(NoAnswer, match="^the client stopped sending its request$"):
        scene.read_request(4)
    assert scene.elapsed == 30


# The answer, read for a client


def test_an_answer_that_is_there_is_read_at_once() -> None:
    scene = Scene()
    scene.add()
    scene.fetch()
    scene.answer(0, b"HTTP", last=True)

    assert (scene.read_answer(), scene.elapsed) == (Part(0, b"HTTP", True), 0)


def test_an_answer_is_read_when_it_comes() -> None:
    scene = Scene()
    scene.add()
    scene.script((14, scene.fetch), (29, lambda: scene.answer(0, b"HTTP")))

    assert (scene.read_answer(), scene.elapsed) == (Part(0, b"HTTP", False), 29)


def test_the_end_of_an_answer_is_a_part_of_nothing() -> None:
    scene = Scene()
    scene.add()
    scene.fetch()
    scene.answer(0, b"HTTP")
    scene.script((20, lambda: scene.answer(4, b"", last=True)))

    assert (scene.read_answer(4), scene.elapsed) == (Part(4, b"", True), 20)


def test_a_request_that_no_agent_fetches_has_an_offline_backend() -> None:
    scene = Scene()
    scene.add()

    with pytest.raises(BackendOffline, match="^no agent took the request in time$"):
        scene.read_answer()
    assert scene.elapsed == 15


def test_an_offer_is_no_fetch() -> None:
    scene = Scene()
    scene.add()
    scene.script((1, scene.poll))

    with pytest.raises(BackendOffline):
        scene.read_answer()
    assert scene.elapsed == 15


def test_a_backend_that_does_not_answer_in_time_is_given_up() -> None:
    scene = Scene()
    scene.add()
    scene.script((14, scene.fetch))

    with pytest.raises(NoAnswer, match="^the backend did not answer in time$"):
        scene.read_answer()
    assert scene.elapsed == 30


def test_the_time_for_an_answer_runs_from_the_arrival_of_its_request() -> None:
    scene = Scene()
    scene.add()
    scene.fetch()
    scene.clock.advance(seconds(40))

    with pytest.raises(NoAnswer):
        scene.read_answer()
    assert scene.elapsed == 40


def test_a_backend_that_stops_answering_is_given_up() -> None:
    scene = Scene()
    scene.add()
    scene.fetch()
    scene.answer(0, b"HTTP")
    scene.clock.advance(seconds(100))

    with pytest.raises(NoAnswer, match="^the backend stopped answering$"):
        scene.read_answer(4)
    assert scene.elapsed == 130


def test_an_answer_that_breaks_off_is_broken_at_once() -> None:
    scene = Scene()
    scene.add()
    scene.fetch()
    scene.script((3, scene.fail))

    with pytest.raises(BrokenAnswer) as raised:
        scene.read_answer()
    assert (raised.value.reason, scene.elapsed) == ("backend-broke", 3)


def test_what_came_before_an_answer_broke_off_is_read_first() -> None:
    scene = Scene()
    scene.add()
    scene.fetch()
    scene.answer(0, b"HTTP")
    scene.fail()

    assert scene.read_answer() == Part(0, b"HTTP", False)
    with pytest.raises(BrokenAnswer):
        scene.read_answer(4)


def test_an_exchange_that_is_deleted_meanwhile_is_unknown() -> None:
    scene = Scene()
    scene.add()
    scene.script((2, lambda: scene.store.delete_backend(BACKEND)))

    with pytest.raises(UnknownRequest):
        scene.read_answer()
    assert scene.elapsed == 2


def test_a_wait_for_an_answer_ends_at_the_next_deadline() -> None:
    scene = Scene()
    scene.add()
    scene.script((10, scene.fetch))
    with pytest.raises(NoAnswer):
        scene.read_answer()

    assert scene.waiter.waits == [Wait(KEY, seconds(15), timedelta()), Wait(KEY, seconds(20), seconds(10))]


# Driving


class TicketWaiter:
    """A waiter that only writes down in which order it was asked."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def ticket(self) -> int:
        self.calls.append("ticket")
        return len(self.calls)

    def wait(self, wait: Wait, *, ticket: int) -> None:
        self.calls.append(f"wait {ticket}")


def test_a_ticket_is_taken_before_the_store_is_asked_so_that_nothing_is_slept_through() -> None:
    waiter = TicketWaiter()

    def asking_twice() -> Generator[Wait, None, str]:
        for _ in range(2):
            waiter.calls.append("ask")
            yield Wait(KEY, seconds(1), timedelta())
        return "found"

    assert drive(asking_twice(), waiter) == "found"
    assert waiter.calls == ["ticket", "ask", "wait 1", "ticket", "ask", "wait 4", "ticket"]


def test_an_expired_exchange_is_never_listed() -> None:
    scene = Scene()
    scene.add(exchange=an_exchange()._replace(expires=NOON))

    assert scene.poll() == []
