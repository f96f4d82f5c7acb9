"""The user's websocket: frames in, frames out, without a socket."""

import asyncio
from collections.abc import Awaitable, Callable

from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

from standalone.websockets.shim.messages import LOST, Ending
from standalone.websockets.shim.page import Page
from tests.unit.standalone.connections.test_splice import FakeTransport


class User:
    """The other end: a client's protocol, without a socket either."""

    def __init__(self) -> None:
        self.protocol = Protocol(Side.CLIENT)
        self.transport = FakeTransport()
        self.page = Page()
        self.page.connection_made(self.transport)  # type: ignore[arg-type]

    def say(self, *frames: Frame) -> None:
        for frame in frames:
            self.page.data_received(frame.serialize(mask=True))

    def heard(self) -> list[tuple[Opcode, bytes]]:
        self.protocol.receive_data(self.transport.written)
        self.transport.written = b""
        return [
            (event.opcode, bytes(event.data)) for event in self.protocol.events_received() if isinstance(event, Frame)
        ]


def run(scenario: Callable[[User], Awaitable[None]]) -> None:
    async def main() -> None:
        await asyncio.wait_for(scenario(User()), 5)

    asyncio.run(main())


def test_messages_come_whole_and_as_many_as_go_in_one_call() -> None:
    async def scenario(user: User) -> None:
        user.say(Frame(Opcode.TEXT, b"gr\xc3", fin=False), Frame(Opcode.CONT, b"\xbcn"), Frame(Opcode.BINARY, b"\xff"))
        first = await user.page.receive()
        user.say(*(Frame(Opcode.TEXT, b"%d" % number) for number in range(1001)))

        assert first == ["grün", b"\xff"]
        assert (len(await user.page.receive()), await user.page.receive()) == (1000, ["1000"])

    run(scenario)


def test_much_that_waits_is_not_added_to() -> None:
    async def scenario(user: User) -> None:
        user.say(Frame(Opcode.BINARY, bytes(700_000)), Frame(Opcode.BINARY, bytes(700_000)))
        paused = list(user.transport.done)
        taken = [len(message) for message in await user.page.receive()]

        assert (paused, taken, user.transport.done[-1]) == (["pause_reading"], [700_000], "resume_reading")

    run(scenario)


def test_messages_go_out_when_the_user_reads() -> None:
    async def scenario(user: User) -> None:
        await user.page.send("text")
        user.page.pause_writing()
        waiting = asyncio.ensure_future(user.page.send(b"\x01"))
        await asyncio.sleep(0)
        before = user.heard()
        user.page.resume_writing()
        await waiting

        assert (before, user.heard()) == ([(Opcode.TEXT, b"text")], [(Opcode.BINARY, b"\x01")])
        assert (user.page.bytes_in, user.page.bytes_out) == (0, 5)

    run(scenario)


def test_a_ping_is_answered_here() -> None:
    async def scenario(user: User) -> None:
        user.say(Frame(Opcode.PING, b"x"))

        assert user.heard() == [(Opcode.PONG, b"x")]

    run(scenario)


def test_a_close_of_the_users_ends_it_with_its_code() -> None:
    async def scenario(user: User) -> None:
        waiting = asyncio.ensure_future(user.page.receive())
        await asyncio.sleep(0)
        user.say(Frame(Opcode.CLOSE, b"\x0b\xb8done"))

        assert (await waiting, user.page.ending) == ([], Ending(3000, "done"))
        await user.page.send("nobody hears this")
        assert [opcode for opcode, _ in user.heard()] == [Opcode.CLOSE]

    run(scenario)


def test_what_breaks_the_rules_ends_it_with_a_code() -> None:
    async def scenario(user: User) -> None:
        user.say(Frame(Opcode.TEXT, b"\xff"))

        assert user.page.ending == Ending(1007, "not UTF-8")

    run(scenario)


def test_a_connection_that_is_lost_ends_it_without_one() -> None:
    async def scenario(user: User) -> None:
        user.page.eof_received()
        user.page.connection_lost(None)

        assert (await user.page.receive(), user.page.ending) == ([], LOST)

    run(scenario)


def test_it_is_finished_with_a_closing_handshake() -> None:
    async def scenario(user: User) -> None:
        finishing = asyncio.ensure_future(user.page.finish(Ending(3000, "done")))
        await asyncio.sleep(0)
        said = user.heard()
        was_done = finishing.done()
        user.say(Frame(Opcode.CLOSE, b"\x0b\xb8"))
        await finishing

        assert (said, was_done) == ([(Opcode.CLOSE, b"\x0b\xb8done")], False)
        assert user.transport.done[-1] == "close"

    run(scenario)


def test_it_is_finished_without_a_word_where_there_is_none_to_say() -> None:
    async def scenario(user: User) -> None:
        await user.page.finish(LOST)

        assert (user.heard(), user.transport.done) == ([], ["close"])

    run(scenario)


def test_a_close_without_a_code_has_none() -> None:
    async def scenario(user: User) -> None:
        finishing = asyncio.ensure_future(user.page.finish(Ending(1005)))
        await asyncio.sleep(0)
        assert user.heard() == [(Opcode.CLOSE, b"")]
        user.page.connection_lost(None)
        await finishing

    run(scenario)
