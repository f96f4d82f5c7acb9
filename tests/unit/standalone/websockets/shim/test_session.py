"""One websocket by requests, between a page and a shim that are told what to do."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from websockets.frames import Frame, Opcode

from broker.errors import BackendOffline, BrokerError, NoAnswer
from edge.errors import Refusal
from standalone.waiting import STOPPING
from standalone.websockets.shim.calls import ShimAnswer
from standalone.websockets.shim.messages import Ending, Opened
from standalone.websockets.shim.session import Session
from tests.unit.standalone.websockets.shim.test_page import User
from wire.headers import Headers

Reaction = tuple[int, bytes] | Exception


class Shim:
    """Answers calls by name, one after the other; when it has no more to say, a call waits."""

    def __init__(self, **answers: list[Reaction]) -> None:
        self._answers = answers
        self.calls: list[tuple[str, object]] = []

    async def call(self, name: str, headers: Headers, body: bytes) -> ShimAnswer:
        self.calls.append((name, json.loads(body)))
        if not self._answers.get(name):
            await asyncio.get_running_loop().create_future()
        reaction = self._answers[name].pop(0)
        if isinstance(reaction, Exception):
            raise reaction
        return ShimAnswer(reaction[0], Headers(), reaction[1])

    def said(self, name: str) -> list[object]:
        return [body for called, body in self.calls if called == name]


OVER = (400, b'{"error": "x", "code": 3000, "reason": "done", "clean": true}')


def run(scenario: Callable[[User], Awaitable[None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(scenario(User()), 10)

    asyncio.run(main())


def start(user: User, shim: Shim, *, numbers: bool = True) -> "asyncio.Task[None]":
    session = Session(user.page, shim, Opened("s", "", numbers), Headers())  # type: ignore[arg-type]
    return asyncio.ensure_future(session.run())


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_what_polls_bring_is_sent_and_the_end_is_told() -> None:
    async def scenario(user: User) -> None:
        shim = Shim(poll=[(200, b'["a"]'), (408, b""), (200, b'["b", ["/w=="]]'), OVER])
        serving = start(user, shim)
        await settle()
        heard = user.heard()
        user.say(Frame(Opcode.CLOSE, b"\x0b\xb8"))
        await serving

        assert heard == [
            (Opcode.TEXT, b"a"), (Opcode.TEXT, b"b"), (Opcode.BINARY, b"\xff"), (Opcode.CLOSE, b"\x0b\xb8done"),
        ]  # fmt: skip
        assert [body["ack"] for body in shim.said("poll")] == [0, 1, 1, 3]  # type: ignore[index]
        assert shim.said("close") == []

    run(scenario)


def test_what_the_user_says_is_posted_and_again_where_that_failed() -> None:
    async def scenario(user: User) -> None:
        shim = Shim(data=[NoAnswer("late"), (503, b"{}"), (200, b"ok"), (200, b"ok")], close=[(200, b"ok")])
        serving = start(user, shim)
        user.say(Frame(Opcode.TEXT, b"a"))
        while len(shim.said("data")) < 3:
            await asyncio.sleep(0.01)
        user.say(Frame(Opcode.TEXT, b"b"), Frame(Opcode.CLOSE, b"\x0f\xa0bye"))
        await serving

        assert shim.said("data") == [[{"id": "s", "msg": "a", "n": 0}]] * 3 + [[{"id": "s", "msg": "b", "n": 1}]]
        assert shim.said("close") == [{"id": "s", "n": 2, "code": 4000, "reason": "bye"}]

    run(scenario)


def test_without_numbers_a_message_is_posted_once() -> None:
    async def scenario(user: User) -> None:
        shim = Shim(data=[NoAnswer("late")], close=[(200, b"ok")])
        serving = start(user, shim, numbers=False)
        user.say(Frame(Opcode.TEXT, b"a"))
        await settle()
        heard = user.heard()
        user.page.connection_lost(None)
        await serving

        assert (len(shim.said("data")), heard) == (1, [(Opcode.CLOSE, b"\x03\xf3the agent does not answer")])

    run(scenario)


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (BackendOffline("gone"), Ending(1011, "the agent does not answer")),
        (Refusal(STOPPING), Ending(1001, "the proxy ends it")),
    ],
)
def test_an_agent_that_is_gone_or_a_proxy_that_stops_ends_it(error: BrokerError | Refusal, ending: Ending) -> None:
    async def scenario(user: User) -> None:
        shim = Shim(poll=[error], close=[BackendOffline("gone")])
        serving = start(user, shim)
        await settle()
        heard = user.heard()
        user.page.connection_lost(None)
        await serving

        assert heard == [(Opcode.CLOSE, ending.code.to_bytes(2, "big") + ending.reason.encode())]

    run(scenario)


def test_a_task_that_is_cancelled_says_goodbye_to_both() -> None:
    async def scenario(user: User) -> None:
        shim = Shim(close=[(200, b"ok")])
        serving = start(user, shim)
        await settle()
        serving.cancel()
        await settle()
        heard = user.heard()
        user.say(Frame(Opcode.CLOSE, b"\x03\xe9"))
        await asyncio.wait([serving])

        assert heard == [(Opcode.CLOSE, b"\x03\xe9the proxy ends it")]
        assert shim.said("close") == [{"id": "s", "n": 0, "code": 1001, "reason": "the proxy ends it"}]

    run(scenario)


def test_a_user_who_is_gone_is_gone_at_the_agent() -> None:
    async def scenario(user: User) -> None:
        shim = Shim(close=[(200, b"ok")])
        serving = start(user, shim)
        await settle()
        user.page.connection_lost(ConnectionResetError())
        await serving

        assert shim.said("close") == [{"id": "s", "n": 0}]

    run(scenario)
