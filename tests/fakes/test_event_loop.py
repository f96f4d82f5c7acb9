import asyncio
import time

import pytest

from tests.fakes.event_loop import run_at_once


def test_hours_take_no_time() -> None:
    async def scenario() -> float:
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(7200)
        return asyncio.get_running_loop().time() - began

    assert run_at_once(scenario()) == pytest.approx(7200)


def test_time_stands_still_while_something_is_to_be_done() -> None:
    async def scenario() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        before = loop.time()
        time.sleep(0.001)
        for _ in range(100):
            await asyncio.sleep(0)
        return before, loop.time()

    before, after = run_at_once(scenario())
    assert before == after


def test_alarms_go_off_in_their_order() -> None:
    async def scenario() -> list[str]:
        heard: list[str] = []
        loop = asyncio.get_running_loop()
        for seconds, name in ((3.0, "third"), (1.0, "first"), (2.0, "second")):
            loop.call_later(seconds, heard.append, name)
        await asyncio.sleep(2.5)
        return heard

    assert run_at_once(scenario()) == ["first", "second"]


def test_what_never_comes_is_over_at_its_time() -> None:
    async def scenario() -> None:
        await asyncio.wait_for(asyncio.Event().wait(), 5)

    with pytest.raises(TimeoutError):
        run_at_once(scenario())


def test_without_an_alarm_another_thread_is_waited_for() -> None:
    async def scenario() -> str:
        return await asyncio.to_thread(lambda: "from a thread")

    assert run_at_once(scenario()) == "from a thread"
