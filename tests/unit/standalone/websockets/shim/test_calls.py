"""Calls to a shim as exchanges of the proxy's own."""

import asyncio

import pytest

from broker.errors import BrokenAnswer
from standalone.waiting import AsyncioWaiter
from standalone.websockets.shim.calls import ShimAnswer, ShimCalls
from tests.factories import BACKEND, an_exchange
from tests.unit.standalone.scripted import Bench, run, turns
from wire.headers import Headers
from wire.protocol import RequestId

FIELDS = Headers([("Host", "h"), ("Cookie", "a=1")])


def calls_of(bench: Bench) -> ShimCalls:
    waiter = AsyncioWaiter()
    bench.store.subscribe(waiter.wake)
    return ShimCalls(
        store=bench.store,
        waiter=waiter,
        clock=bench.clock,
        policy=bench.policy,
        new_id=lambda: RequestId("shim-1"),
        exchange=an_exchange("user-1", upgrade="websocket", end_user="user@example.com"),
        path="a/shim",
    )


def test_a_call_is_a_post_in_the_users_name_below_the_path() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        calling = asyncio.ensure_future(calls_of(bench).call("poll", FIELDS, b"{}"))
        await turns()
        fetched = await bench.fetch("shim-1").done()
        await bench.post("shim-1", b"HTTP/1.1 408 X\r\nX-A: 1\r\nContent-Length: 4\r\n\r\n", b"late").done()

        assert fetched.body == (b"POST /a/shim/poll HTTP/1.1\r\nHost: h\r\nCookie: a=1\r\nContent-Length: 2\r\n\r\n{}")
        assert fetched.fields["X-Inverting-Proxy-User-ID"] == "user@example.com"
        assert await calling == ShimAnswer(408, Headers([("X-A", "1")]), b"late")
        assert not bench.store.has_exchange(BACKEND, RequestId("shim-1"))

    run(scenario)


def test_a_long_call_goes_in_parts() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        calling = asyncio.ensure_future(calls_of(bench).call("data", FIELDS, bytes(5_000_000)))
        await turns()
        fetched = await bench.fetch("shim-1").done()
        await bench.post("shim-1", b"HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\nok").done()

        assert fetched.body.endswith(bytes(5_000_000))
        assert (await calling).status == 200

    run(scenario)


def test_an_answer_that_is_none_is_an_error_and_the_exchange_is_gone() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.introduce()
        calling = asyncio.ensure_future(calls_of(bench).call("poll", FIELDS, b"{}"))
        await turns()
        await bench.fetch("shim-1").done()
        bench.post("shim-1", b"nonsense\r\n\r\n")

        with pytest.raises(BrokenAnswer):
            await calling
        assert not bench.store.has_exchange(BACKEND, RequestId("shim-1"))

    run(scenario)
