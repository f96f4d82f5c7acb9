"""Who gets a websocket by requests: through the application, with an agent that takes no upgrades."""

import json
import subprocess
import sys

import pytest
from websockets.frames import Frame, Opcode

from broker.model import Options
from tests.factories import BACKEND, a_backend
from tests.system.processes import ROOT
from tests.unit.standalone.scripted import Bench, Peer, run, turns
from tests.unit.standalone.websockets.test_handshake import HANDSHAKE, Changing, begin


async def asking(bench: Bench, changing: Changing, *fields: tuple[str, str], path: str = "shim") -> Peer:
    """A user's handshake, at a backend with a shim whose agent has polled."""
    await bench.introduce()
    bench.store.put_backend(a_backend(BACKEND, options=Options(shim_path=path)))
    asking = begin(bench, "/ws?q", *HANDSHAKE, *fields, changing=changing)
    await turns()
    return asking


def an_answer(status: int, body: bytes, fields: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def answer(bench: Bench, request_id: str, message: bytes) -> bytes:
    """What the agent got, to which it has answered so."""
    fetched = await bench.fetch(request_id).done()
    await bench.post(request_id, message).done()
    await turns()
    return fetched.body


def test_a_websocket_that_the_shim_opens_is_one() -> None:
    async def scenario(bench: Bench) -> None:
        user = Changing()
        fields = [("Sec-WebSocket-Protocol", "chat"), ("Cookie", "a=1"), ("Origin", "http://h")]
        peer = await asking(bench, user, *fields)
        opened = json.dumps({"id": "s1", "msg": "x", "v": 1, "s": "chat", "ack": True}).encode()
        opening = await answer(bench, "request-2", an_answer(200, opened, "Set-Cookie: b=2\r\n"))
        await peer.done()
        polled = await answer(bench, "request-3", an_answer(200, b'["hello"]'))
        user.end.data_received(Frame(Opcode.TEXT, b"hi").serialize(mask=True))
        await turns()
        posted = await answer(bench, "request-5", an_answer(200, b"ok"))
        user.end.connection_lost(None)
        await turns()
        await answer(bench, "request-6", an_answer(200, b"ok"))

        assert opening.startswith(b"POST /shim/open HTTP/1.1\r\n")
        assert opening.endswith(b"\r\n\r\nws://h/ws?q")
        assert b"Sec-WebSocket-" not in opening
        for field in (b"X-Websocket-Shim-Version: 1", b"X-Websocket-Shim-Protocols: chat", b"Cookie: a=1"):
            assert b"\r\n" + field + b"\r\n" in opening
        assert user.head == (
            b"HTTP/1.1 101 Switching Protocols\r\nSet-Cookie: b=2\r\n"
            b"Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\nSec-WebSocket-Protocol: chat\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        assert polled.endswith(b'\r\n\r\n{"id":"s1","ack":0}')
        assert user.transport.written == b"\x81\x05hello"
        assert posted.endswith(b'\r\n\r\n[{"id":"s1","msg":"hi","n":0}]')

    run(scenario)


@pytest.mark.parametrize("status", [403, 404, 502])
def test_a_refusal_is_the_users_answer(status: int) -> None:
    async def scenario(bench: Bench) -> None:
        peer = await asking(bench, Changing())
        await answer(bench, "request-2", an_answer(status, b'{"error": "no"}', "Content-Type: application/json\r\n"))
        await peer.done()

        assert (peer.status, peer.body, peer.fields["Content-Type"]) == (status, b'{"error": "no"}', "application/json")

    run(scenario)


def test_what_is_no_shim_is_a_broken_answer() -> None:
    async def scenario(bench: Bench) -> None:
        peer = await asking(bench, Changing())
        await answer(bench, "request-2", an_answer(200, b"<html>"))
        await peer.done()

        assert (peer.status, peer.fields["X-Inverting-Proxy-Error"]) == (502, "broken-answer")

    run(scenario)


def test_without_a_path_of_a_shim_there_is_none() -> None:
    async def scenario(bench: Bench) -> None:
        peer = await (await asking(bench, Changing(), path="")).done()

        assert (peer.status, peer.fields["X-Inverting-Proxy-Error"]) == (501, "upgrade-not-supported")

    run(scenario)


def test_the_library_is_imported_when_the_first_is_opened_and_not_before() -> None:
    modules = {"websockets", "standalone.websockets.shim"}
    program = f"import sys, standalone.composition; print(sorted({modules} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert ran.stdout == "[]\n"
