import asyncio
from collections.abc import Awaitable, Callable

import pytest

from broker.errors import NoAnswer
from edge.errors import FAILURES, Refusal
from standalone.calls import REQUEST_EXTENSION, TOGETHER, TRAILERS, Call, Message
from standalone.pace import Pace
from tests.factories import seconds
from tests.fakes.clock import FakeClock
from tests.fakes.event_loop import run_at_once
from wire.headers import Headers
from wire.http1 import CHUNKED, End, RequestHead, ResponseHead

HEAD = RequestHead("POST", "/x?y", Headers([("Host", "h"), ("Accept", "text/html")]), CHUNKED)


class Bench:
    """A call with a script of what is received, each message after `pause` seconds, and a list of what is sent."""

    def __init__(self, *received: Message, head: RequestHead = HEAD, has_come: bool = False, pause: float = 0) -> None:
        self.sent: list[Message] = []
        self.clock = FakeClock()
        self._received = list(received)
        self._pause = pause
        extension = {"head": head, "has_come": lambda: has_come}
        scope = {"scheme": "http", "client": None, "extensions": {REQUEST_EXTENSION: extension}}
        self.call = Call(scope, self._receive, self._send, clock=self.clock)

    def receives(self, message: Message) -> None:
        self._received.append(message)

    async def _receive(self) -> Message:
        if not self._received:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(self._pause)
        return self._received.pop(0)

    async def _send(self, message: Message) -> None:
        self.sent.append(message)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(scenario(), 5)

    run_at_once(main())


def test_a_body_is_read_part_by_part() -> None:
    async def scenario() -> None:
        bench = Bench({"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.request", "body": b"b"})

        assert await bench.call.read(seconds(1)) == (b"a", False)
        assert await bench.call.read(seconds(1)) == (b"b", True)
        assert bench.call.access().received == 2

    run(scenario)


def test_a_client_that_is_silent_is_refused() -> None:
    async def scenario() -> None:
        with pytest.raises(Refusal) as refused:
            await Bench().call.read(seconds(0.01))

        assert refused.value.failure.status == 408

    run(scenario)


def test_what_has_come_is_read_at_once() -> None:
    async def scenario() -> None:
        bench = Bench({"type": "http.request", "body": b"ok"}, has_come=True)

        assert await bench.call.read(seconds(0)) == (b"ok", True)

    run(scenario)


def test_a_client_that_has_gone_ends_the_task() -> None:
    async def scenario() -> None:
        with pytest.raises(asyncio.CancelledError):
            await Bench({"type": "http.disconnect"}).call.read(seconds(1))

    run(scenario)


def test_a_client_that_is_slow_is_refused_but_for_the_end_of_its_body() -> None:
    async def scenario() -> None:
        more = {"type": "http.request", "body": b"a", "more_body": True}
        bench = Bench(more, {"type": "http.request", "body": b"b"}, more, pause=0.5)
        slow = Pace(rate=10, window=0.5)
        with pytest.raises(Refusal) as refused:
            await bench.call.read(seconds(1), pace=slow)

        assert (refused.value.failure.status, refused.value.failure.reason) == (408, "client-slow")
        assert await bench.call.read(seconds(1), pace=slow) == (b"b", True)
        assert await bench.call.read(seconds(1)) == (b"a", False)

    run(scenario)


def test_what_does_not_come_in_a_moment_is_nothing_yet_and_is_not_lost() -> None:
    async def scenario() -> None:
        bench = Bench()
        loop = asyncio.get_running_loop()
        nothing = await bench.call.read_before(loop.time() + 0.01)
        bench.receives({"type": "http.request", "body": b"late"})

        assert (nothing, await bench.call.read_before(loop.time() + 1)) == (None, (b"late", True))

    run(scenario)


def test_the_end_of_a_body_may_have_trailers() -> None:
    async def scenario() -> None:
        bench = Bench({"type": "http.request", "body": b"", TRAILERS: [(b"Sum", b"1")]})
        await bench.call.read(seconds(1))

        assert bench.call.trailers == Headers([("Sum", "1")])

    run(scenario)


def test_what_is_to_be_looked_at_meanwhile_is() -> None:
    def give_up() -> None:
        raise NoAnswer("enough")

    async def scenario() -> None:
        with pytest.raises(NoAnswer, match="enough"):
            await Bench().call.read(seconds(3), meanwhile=give_up)

    run(scenario)


def test_the_end_of_an_answer_in_chunks_carries_its_trailers() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.call.send(ResponseHead(200, Headers([("ETag", "x")]), CHUNKED))
        await bench.call.send(b"ok")
        await bench.call.send(End(Headers([("Sum", "1")])))

        assert bench.sent == [
            {"type": "http.response.start", "status": 200, "headers": [(b"ETag", b"x")], "trailers": True},
            {"type": "http.response.body", "body": b"ok", "more_body": True},
            {"type": "http.response.body", "body": b"", "more_body": False, TOGETHER: True},
            {"type": "http.response.trailers", "headers": [(b"Sum", b"1")]},
        ]

    run(scenario)


def test_what_is_sent_together_goes_on_in_two_messages() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.call.send(ResponseHead(200, Headers(), 2), b"ok", End())

        assert [(message["type"], message.get(TOGETHER, False)) for message in bench.sent] == [
            ("http.response.start", True),
            ("http.response.body", False),
        ]
        assert (bench.sent[-1]["body"], bench.sent[-1]["more_body"]) == (b"ok", False)
        assert bench.call.is_answered and bench.call.access().sent == 2

    run(scenario)


@pytest.mark.parametrize(("status", "fields"), [(200, [(b"Content-Length", b"0")]), (204, [])])
def test_a_length_is_told_where_it_may_be(status: int, fields: list[tuple[bytes, bytes]]) -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.call.answer(status, Headers(), b"")

        assert bench.sent[0]["headers"] == fields

    run(scenario)


def test_a_failure_before_the_answer_is_told_in_the_clients_form() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.call.trace = "trace-1"
        await bench.call.fail(FAILURES[NoAnswer])

        assert (bench.sent[0]["status"], bench.sent[-1]["more_body"]) == (504, False)
        assert b"trace-1" in bench.sent[1]["body"] and b"<!doctype html>" in bench.sent[1]["body"]

    run(scenario)


def test_a_failure_within_the_answer_leaves_it_without_an_end() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.call.send(ResponseHead(200, Headers(), CHUNKED))
        await bench.call.fail(FAILURES[NoAnswer])

        assert (len(bench.sent), bench.call.access().reason) == (1, "timeout")

    run(scenario)


def test_a_call_is_told_of_in_the_log() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.clock.advance(seconds(1))
        await bench.call.send(ResponseHead(200, Headers(), 2))
        await bench.call.send(b"ok")
        bench.clock.advance(seconds(2))
        access = bench.call.access()

        assert (access.method, access.target, access.status, access.sent) == ("POST", "/x?y", 200, 2)
        assert (access.first_byte, access.total) == (seconds(1), seconds(3))

    run(scenario)
