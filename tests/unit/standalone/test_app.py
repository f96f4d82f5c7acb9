import asyncio
from datetime import timedelta

import pytest

from standalone.calls import Message
from tests.factories import seconds
from tests.unit.standalone.scripted import OK, Bench, run, turns


def test_a_fault_of_the_proxy_is_logged_and_told_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        bench.store.add_exchange = None  # type: ignore[assignment, method-assign]
        user = await bench.start("GET", "/").done()

        assert (user.status, user.fields["X-Inverting-Proxy-Error"]) == (500, "internal-error")
        assert b"NoneType" not in user.body

    run(scenario)
    assert "TypeError" in caplog.text


def test_a_users_request_is_one_line_in_the_log_and_an_agents_none(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = bench.start("GET", "/x?secret")
        await bench.poll().done()
        await bench.fetch("request-1").done()
        await bench.post("request-1", OK).done()
        await user.done()

    run(scenario)
    assert [record.getMessage() for record in caplog.records] == ["request- GET /x 200 0>2B 0/0ms backend=notebook"]


@pytest.mark.parametrize(("is_slow", "reason"), [(True, "slow-reader"), (False, "client-gone")])
def test_the_log_tells_a_client_that_was_cut_off_from_one_that_went_away(
    is_slow: bool, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = bench.start("GET", "/", is_cut_off=lambda: is_slow)
        await turns()
        user.task.cancel()
        await turns()

    run(scenario)
    assert [record.getMessage().rpartition(" ")[2] for record in caplog.records] == [f"reason={reason}"]


def test_a_stopping_proxy_finishes_what_it_has_begun_and_takes_nothing_new() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user = bench.start("GET", "/")
        await turns()
        stopping = asyncio.ensure_future(bench.app.stop(timedelta(seconds=5)))
        await turns()
        late = await bench.start("GET", "/late").done()
        await bench.fetch("request-1").done()
        await bench.post("request-1", OK).done()
        await user.done()
        await stopping

        assert (late.status, late.fields["X-Inverting-Proxy-Error"], late.fields["Retry-After"]) == (
            503,
            "stopping",
            "5",
        )
        assert user.body == b"ok"

    run(scenario)


def test_a_stopped_proxy_lets_nobody_wait() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        user, poll = bench.start("GET", "/"), bench.poll()
        await turns()
        second = bench.poll()
        await turns()
        await bench.app.stop(timedelta())

        for ended in (await user.done(), await second.done()):
            assert (ended.status, ended.fields["X-Inverting-Proxy-Error"]) == (503, "stopping")
        assert (await poll.done()).status == 200

    run(scenario)


def test_the_house_is_kept_for_as_long_as_the_application_lives() -> None:
    async def scenario(bench: Bench) -> None:
        told: asyncio.Queue[Message] = asyncio.Queue()
        said: asyncio.Queue[Message] = asyncio.Queue()
        await bench.introduce()
        gone = bench.start("GET", "/")
        await turns()
        gone.task.cancel()
        await turns()
        living = asyncio.ensure_future(bench.app({"type": "lifespan"}, told.get, said.put))
        await told.put({"type": "lifespan.startup"})
        assert (await said.get())["type"] == "lifespan.startup.complete"
        bench.clock.advance(seconds(6))
        await asyncio.sleep(1.1)
        user = await bench.start("GET", "/").done()
        await told.put({"type": "lifespan.shutdown"})
        assert (await said.get())["type"] == "lifespan.shutdown.complete"
        await living

        assert (user.status, user.fields["X-Inverting-Proxy-Error"]) == (503, "no-agent")

    run(scenario)
