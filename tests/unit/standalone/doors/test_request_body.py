import asyncio
from collections.abc import Awaitable, Callable

import pytest

from broker.policy import Policy
from edge.errors import Refusal
from standalone.calls import REQUEST_EXTENSION, TRAILERS, Call, Message
from standalone.doors.request_body import RequestBody
from tests.factories import seconds
from tests.fakes.clock import FakeClock
from tests.fakes.event_loop import run_at_once
from wire.errors import MessageTooLarge
from wire.headers import Headers
from wire.http1 import CHUNKED, Length, RequestHead

PAUSE = "pause"


class Client:
    """Sends pieces of a body; at a pause, nothing until it is told to go on."""

    def __init__(
        self, *pieces: bytes | str, length: Length = CHUNKED, trailers: tuple[bytes, bytes] | None = None
    ) -> None:
        self.goes_on = asyncio.Event()
        self._pieces = list(pieces)
        self._trailers = trailers
        head = RequestHead("POST", "/", Headers([("Host", "h")]), length)
        scope = {"scheme": "http", "client": None, "extensions": {REQUEST_EXTENSION: {"head": head}}}
        self.call = Call(scope, self._receive, self._send, clock=FakeClock())

    async def _receive(self) -> Message:
        if self._pieces[0] == PAUSE:
            await self.goes_on.wait()
            del self._pieces[0]
        piece = self._pieces.pop(0)
        message = {"type": "http.request", "body": piece, "more_body": bool(self._pieces)}
        return message if self._pieces or not self._trailers else {**message, TRAILERS: [self._trailers]}

    async def _send(self, message: Message) -> None:
        raise AssertionError("nothing is answered here")

    def body(self, *, first_bytes: int = 100, policy: Policy | None = None, rate: int = 0) -> RequestBody:
        return RequestBody(self.call, policy or Policy(), rate=rate, first_bytes=first_bytes)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(scenario(), 5)

    run_at_once(main())


def test_a_short_body_is_whole_at_first_however_many_pieces_it_comes_in() -> None:
    async def scenario() -> None:
        body = Client(b"one", b"two", b"").body()

        assert (await body.first(), body.is_ended) == (b"6\r\nonetwo\r\n0\r\n\r\n", True)

    run(scenario)


def test_a_body_that_takes_its_time_does_not_hold_up_its_head() -> None:
    async def scenario() -> None:
        client = Client(PAUSE, b"late", b"")
        body = client.body()
        first = await body.first()
        client.goes_on.set()

        assert (first, body.is_ended) == (b"", False)
        assert await body.next() + await body.next() == b"4\r\nlate\r\n0\r\n\r\n"
        assert body.is_ended

    run(scenario)


def test_no_more_comes_at_first_than_there_is_room_for() -> None:
    async def scenario() -> None:
        body = Client(b"0123456789", length=10).body(first_bytes=4)

        assert (await body.first(), body.is_ended) == (b"0123", False)
        assert (await body.next(), body.is_ended) == (b"456789", True)

    run(scenario)


@pytest.mark.parametrize("length", [None, 0])
def test_a_request_without_a_body_is_not_asked_for_one(length: Length) -> None:
    async def scenario() -> None:
        body = Client(length=length).body()

        assert (body.is_ended, await body.first()) == (True, b"")

    run(scenario)


def test_the_end_carries_the_trailers_that_may_travel_on() -> None:
    async def scenario() -> None:
        assert (await Client(b"a", trailers=(b"Sum", b"1")).body().first()).endswith(b"\r\n0\r\nSum: 1\r\n\r\n")
        assert (await Client(b"a", trailers=(b"X-Forwarded-For", b"1")).body().first()).endswith(b"\r\n0\r\n\r\n")

    run(scenario)


def test_a_field_that_only_the_proxy_sets_is_no_trailer() -> None:
    async def scenario() -> None:
        body = RequestBody(Client(b"a", trailers=(b"X_User", b"root")).call, Policy(), hidden="x-user")

        assert (await body.first()).endswith(b"\r\n0\r\n\r\n")

    run(scenario)


def test_a_body_that_grows_over_the_limit_is_refused() -> None:
    async def scenario() -> None:
        with pytest.raises(MessageTooLarge):
            await Client(b"12", b"345").body(policy=Policy(max_body_bytes=4)).first()

    run(scenario)


def test_a_body_that_trickles_is_refused() -> None:
    async def scenario() -> None:
        client = Client(*[PAUSE, b"1"] * 4, b"")
        body = client.body(policy=Policy(idle_wait=seconds(0.6)), rate=1_000_000)
        await body.first()
        with pytest.raises(Refusal) as refused:
            for _ in range(4):
                client.goes_on.clear()
                asyncio.get_running_loop().call_later(0.25, client.goes_on.set)
                await body.next()

        assert refused.value.failure.reason == "client-slow"

    run(scenario)
