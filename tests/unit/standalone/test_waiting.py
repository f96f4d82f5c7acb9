import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from broker.errors import NoAnswer
from broker.waiting import ExchangeKey, PendingKey, Wait, Waiting
from edge.errors import Refusal
from standalone.waiting import AsyncioWaiter, drive
from tests.factories import BACKEND, REQUEST, seconds
from tests.unit.standalone.scripted import turns

KEY = PendingKey(BACKEND)


def run(scenario: Callable[[AsyncioWaiter], Awaitable[None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(scenario(AsyncioWaiter()), 5)

    asyncio.run(main())


def a_wait(after: float = 60) -> Wait:
    return Wait(KEY, seconds(after), seconds(0))


def test_a_change_wakes_all_who_wait_for_its_key_and_nobody_else() -> None:
    async def scenario(waiter: AsyncioWaiter) -> None:
        first, second = (asyncio.ensure_future(waiter.wait(a_wait())) for _ in range(2))
        other = asyncio.ensure_future(waiter.wait(Wait(ExchangeKey(REQUEST), seconds(60), seconds(0))))
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
