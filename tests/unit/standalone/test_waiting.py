import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from broker.errors import NoAnswer
from broker.waiting import ExchangeKey, PendingKey, Wait, Waiting
from edge.errors import Refusal
from standalone.waiting import AsyncioWaiter, drive
from tests.factories import BACKEND, REQUEST, seconds
from tests.fakes.event_loop import run_at_once
from tests.unit.standalone.scripted import turns

KEY = ExchangeKey(REQUEST)
POLLS = PendingKey(BACKEND)


def run(scenario: Callable[[AsyncioWaiter], Awaitable[None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(scenario(AsyncioWaiter()), 5)

    run_at_once(main())


def a_wait(after: float = 60) -> Wait:
    return Wait(KEY, seconds(after), seconds(0))


def test_a_change_wakes_all_who_wait_for_its_key_and_nobody_else() -> None:
    async def scenario(waiter: AsyncioWaiter) -> None:
        first, second = (asyncio.ensure_future(waiter.wait(a_wait())) for _ in range(2))
        other = asyncio.ensure_future(waiter.wait(Wait(POLLS, seconds(60), seconds(0))))
        await turns()
        waiter.wake(KEY)
        await turns()

        assert (first.done(), second.done(), other.done(), waiter.waiting) == (True, True, False, 1)
        other.cancel()

    run(scenario)


def test_a_wait_ends_at_its_timeout() -> None:
    async def scenario(waiter: AsyncioWaiter) -> None:
        await waiter.wait(a_wait(after=0.01))

        assert waiter.waiting == 0

    run(scenario)


def test_a_change_by_another_thread_wakes() -> None:
    async def scenario(waiter: AsyncioWaiter) -> None:
        waiting = asyncio.ensure_future(waiter.wait(a_wait()))
        await turns()
        threading.Thread(target=waiter.wake, args=(KEY,)).start()
        await waiting

        assert waiter.waiting == 0

    run(scenario)


def test_one_who_gives_up_leaves_nothing_behind() -> None:
    async def scenario(waiter: AsyncioWaiter) -> None:
        waiting = asyncio.ensure_future(waiter.wait(a_wait()))
        await turns()
        waiting.cancel()
        await turns()
        waiter.wake(KEY)

        assert waiter.waiting == 0

    run(scenario)


def test_nobody_waits_once_it_is_closed() -> None:
    async def scenario(waiter: AsyncioWaiter) -> None:
        waiting = asyncio.ensure_future(waiter.wait(a_wait()))
        await turns()
        waiter.close()
        await waiting

        with pytest.raises(Refusal, match="^stopping$"):
            await waiter.wait(a_wait())

    run(scenario)


def two_waits() -> Waiting[str]:
    yield a_wait(after=0.01)
    yield a_wait(after=0.01)
    return "result"


def one_wait_and_an_error() -> Waiting[str]:
    yield a_wait(after=0.01)
    raise NoAnswer("late")


def test_a_loop_is_driven_to_its_result() -> None:
    async def scenario(waiter: AsyncioWaiter) -> None:
        assert await drive(two_waits(), waiter) == "result"

    run(scenario)


def test_an_error_of_a_loop_comes_through() -> None:
    async def scenario(waiter: AsyncioWaiter) -> None:
        with pytest.raises(NoAnswer, match="late"):
            await drive(one_wait_and_an_error(), waiter)

    run(scenario)


# Polls: one of them is woken for a change


class Polls:
    """Polls that wait, in their order, and what there is for them."""

    def __init__(self, waiter: AsyncioWaiter, *takes: list[str]) -> None:
        self.there: list[str] = []
        self._waiter = waiter
        self.looks = 0
        self.tasks = [asyncio.ensure_future(drive(self._poll(names), waiter)) for names in takes]

    def _poll(self, takes: list[str]) -> Waiting[list[str]]:
        while True:
            self.looks += 1
            taken = [name for name in takes if name in self.there][:1]
            if taken:
                self.there.remove(taken[0])
                return taken
            if "end" in takes and self.there:
                return []
            yield Wait(POLLS, seconds(60), seconds(0))

    async def put(self, *names: str) -> None:
        for name in names:
            self.there.append(name)
            self._waiter.wake(POLLS)
        await turns()

    def done(self) -> list[bool]:
        return [task.done() for task in self.tasks]

    def end(self) -> None:
        for task in self.tasks:
            task.cancel()


def test_the_poll_that_has_waited_longest_is_woken_alone() -> None:
    async def scenario(waiter: AsyncioWaiter) -> None:
        polls = Polls(waiter, ["a"], ["a"], ["a"])
        await turns()
        await polls.put("a")
        assert (polls.done(), polls.looks) == ([True, False, False], 4)
        await polls.put("a", "a")
        assert (polls.done(), polls.looks) == ([True, True, True], 6)

    run(scenario)


def test_a_poll_that_has_no_use_for_a_change_passes_it_on() -> None:
    async def scenario(waiter: AsyncioWaiter) -> None:
        polls = Polls(waiter, ["a"], ["b"], ["c"], ["c"])
        await turns()
        await polls.put("c")
        assert (polls.done(), polls.looks) == ([False, False, True, False], 7)
        polls.end()

    run(scenario)


def test_a_change_that_nobody_has_a_use_for_wakes_each_once() -> None:
    async def scenario(waiter: AsyncioWaiter) -> None:
        polls = Polls(waiter, ["a"], ["b"])
        await turns()
        await polls.put("c")
        assert (polls.done(), polls.looks) == ([False, False], 4)
        polls.end()

    run(scenario)


def test_a_poll_that_ends_with_nothing_passes_the_change_on() -> None:
    async def scenario(waiter: AsyncioWaiter) -> None:
        polls = Polls(waiter, ["end"], ["end"], ["a"])
        await turns()
        await polls.put("a")
        assert polls.done() == [True, True, True]

    run(scenario)


def test_a_poll_that_breaks_off_when_it_is_woken_passes_the_change_on() -> None:
    async def scenario(waiter: AsyncioWaiter) -> None:
        polls = Polls(waiter, ["a"], ["a"])
        await turns()
        polls.there.append("a")
        waiter.wake(POLLS)
        polls.tasks[0].cancel()
        await turns()
        assert (polls.tasks[0].cancelled(), polls.tasks[1].result()) == (True, ["a"])

    run(scenario)


def test_a_poll_that_broke_off_before_is_passed_over() -> None:
    async def scenario(waiter: AsyncioWaiter) -> None:
        polls = Polls(waiter, ["a"], ["a"])
        await turns()
        polls.tasks[0].cancel()
        await polls.put("a")
        assert polls.tasks[1].result() == ["a"]

    run(scenario)
