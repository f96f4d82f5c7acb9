"""The server behind the page: the page itself, and websockets that do what their URL says.

    /page /frame /empty /cases.js /recorded?key=…   by GET; `recorded` waits until that websocket has ended
    /echo?pick=…|force=…            every message back; `pick` chooses an offered subprotocol, `force` one that is none
    /record?key=…                   only listens: what it got and how it ended is asked for by `recorded`
    /burst?count=…&stay=1           so many messages, text and binary in turn, then the end unless it stays
    /close?code=…&reason=…          closes at once; without `code` with an empty close frame
    /answer?code=…&reason=…&ms=…    answers the page's close frame with its own, so much later
    /goodbye                        closes with 4002 when it gets a message
    /drop?now=1                     drops the connection without a close frame: at once, or on a message
    /refuse?status=…  /late?ms=…    the handshake: refused, or accepted so much later
    /invalid?kind=utf8|frame        a text message that is not UTF-8; bytes that are no frame
    /fragments                      messages in several frames with pings in between

All other paths of websockets echo.
"""

import asyncio
import contextlib
import json
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

_HERE: Final = Path(__file__).parent

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>websockets</title>{scripts}</head><body></body></html>
"""
_FRAME_SCRIPT: Final = """<script>
const socket = new WebSocket(`ws://${location.host}/record${location.search}`);
socket.onopen = () => { socket.send("hello"); setTimeout(() => parent.postMessage("open", "*"), 300); };
</script>"""

_MAX_MESSAGE: Final = 8 << 20


class Recorded:
    """What a websocket of `/record` got."""

    def __init__(self) -> None:
        self.messages: list[str | int] = []
        self.end: tuple[int, str] | None = None
        self.ended = asyncio.Event()


class PageServer:
    """Runs in a thread of its own, from construction until `stop`."""

    def __init__(self) -> None:
        self._recorded: defaultdict[str, Recorded] = defaultdict(Recorded)
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._port = 0
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._thread.start()
        assert self._started.wait(30)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(30)
        self._loop.close()

    async def _serve(self) -> None:
        # Without compression, as through the shim: the page sees that in `extensions`.
        async with serve(
            self._talk,
            "127.0.0.1",
            0,
            process_request=self._answer,
            select_subprotocol=_choose,
            compression=None,
            max_size=_MAX_MESSAGE,
            open_timeout=60,
            ping_interval=None,
            server_header=None,
        ) as server:
            [listening] = server.sockets
            self._port = listening.getsockname()[1]
            self._started.set()
            await self._stopping.wait()

    async def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        path, query = _target(request)
        if path == "/refuse":
            return _response(int(query["status"]), "text/plain", b"refused")
        if "Upgrade" in request.headers:
            if path == "/late":
                await asyncio.sleep(int(query["ms"]) / 1000)
            return None
        if path == "/recorded":
            recorded = self._recorded[query["key"]]
            await recorded.ended.wait()
            return _response(200, "application/json", json.dumps([recorded.messages, recorded.end]).encode())
        if path == "/cases.js":
            return _response(200, "text/javascript", (_HERE / "cases.js").read_bytes())
        scripts = {"/page": '<script src="/cases.js"></script>', "/frame": _FRAME_SCRIPT, "/empty": ""}.get(path)
        if scripts is None:
            return _response(404, "text/plain", b"no such page")
        return _response(200, "text/html; charset=utf-8", _PAGE.format(scripts=scripts).encode())

    async def _talk(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        path, query = _target(connection.request)
        action = getattr(self, f"_{path.strip('/')}", self._echo)
        with contextlib.suppress(ConnectionClosed):
            await action(connection, query)

    async def _echo(self, connection: ServerConnection, query: dict[str, str]) -> None:
        async for message in connection:
            await connection.send(message)

    async def _record(self, connection: ServerConnection, query: dict[str, str]) -> None:
        recorded = self._recorded[query["key"]]
        try:
            async for message in connection:
                recorded.messages.append(message if isinstance(message, str) else len(message))
        finally:
            recorded.end = (connection.close_code or 0, connection.close_reason or "")
            recorded.ended.set()

    async def _burst(self, connection: ServerConnection, query: dict[str, str]) -> None:
        for number in range(int(query["count"])):
            await connection.send(f"text {number}" if number % 2 else bytes([number & 255]) * number)
        if "stay" in query:
            await connection.wait_closed()

    async def _close(self, connection: ServerConnection, query: dict[str, str]) -> None:
        if "code" in query:
            # `close` of the library refuses codes that a server may well send.
            connection.protocol.send_close(int(query["code"]), query.get("reason", ""))
        else:
            connection.protocol.send_close()
        for data in connection.protocol.data_to_send():
            connection.transport.write(data)
        await connection.wait_closed()

    async def _answer_close(self, connection: ServerConnection, query: dict[str, str]) -> None:
        send_frame = connection.protocol.send_frame

        def send(frame: Frame) -> None:
            if frame.opcode is Opcode.CLOSE:
                time.sleep(int(query.get("ms", "0")) / 1000)
                frame = Frame(Opcode.CLOSE, Close(int(query["code"]), query.get("reason", "")).serialize())
            send_frame(frame)

        connection.protocol.send_frame = send  # type: ignore[method-assign]
        await connection.wait_closed()

    async def _goodbye(self, connection: ServerConnection, query: dict[str, str]) -> None:
        await connection.recv()
        await connection.close(4002, "goodbye")

    async def _drop(self, connection: ServerConnection, query: dict[str, str]) -> None:
        if "now" not in query:
            await connection.recv()
        connection.transport.abort()

    async def _invalid(self, connection: ServerConnection, query: dict[str, str]) -> None:
        connection.transport.write(b"\x81\x02\xc3\x28" if query["kind"] == "utf8" else b"\xff\x00")
        await connection.wait_closed()

    async def _fragments(self, connection: ServerConnection, query: dict[str, str]) -> None:
        async def slowly(parts: Sequence[Any]) -> Any:
            for part in parts:
                yield part
                await connection.ping()

        await connection.send(slowly(["caf", "\u00e9 ", "", "\U0001f600"]))
        await connection.send(slowly([b"\x00\xff", b"", b"\x80"]))


def _target(request: Request) -> tuple[str, dict[str, str]]:
    parts = urlsplit(request.path)
    path = "/answer_close" if parts.path == "/answer" else parts.path
    return path, {name: values[-1] for name, values in parse_qs(parts.query).items()}


def _choose(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    assert connection.request is not None
    query = _target(connection.request)[1]
    chosen = query.get("force") or query.get("pick")
    return Subprotocol(chosen) if chosen else None


def _response(status: int, content_type: str, body: bytes) -> Response:
    headers = Headers({"Content-Type": content_type, "Content-Length": str(len(body)), "Connection": "close"})
    headers["Cache-Control"] = "no-store"
    if status == 301:
        headers["Location"] = "/echo"
    return Response(status, HTTPStatus(status).phrase, headers, body)
