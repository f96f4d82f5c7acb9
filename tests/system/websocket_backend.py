"""A websocket server, a thread for each websocket: the last segment of the path says what it does.

/echo            sends each message back
/fragments       sends each message back in pieces of a few bytes
/fields          sends the fields of the handshake, as JSON
/close?code=&reason=   closes so, when it has got a message
/abort           breaks the connection, when it has got a message
/ping            sends a ping, waits for its pong, and says so
/flood?n=&size=  sends n messages of a size, whoever reads them
/stall           reads nothing until the next call of `go_on`
/refuse?status=  answers the handshake with that status
"""

import json
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

from tests.timing import SECOND

_RESET: Final = struct.pack("ii", 1, 0)
SUBPROTOCOLS: Final = ("chat.v2", "chat.v1")


class Backend:
    """The server, and how the websockets with it have ended."""

    def __init__(self) -> None:
        self.url = ""
        self.ends: list[tuple[int, str]] = []
        """Code and reason of each end, as the server saw it."""
        self.received: list[str | bytes] = []
        """What `/stall` read in the end."""
        self._going_on = threading.Event()

    def go_on(self) -> None:
        """Have `/stall` read."""
        self._going_on.set()

    def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        action, arguments = _split(request)
        if action != "refuse":
            return None
        status = HTTPStatus(int(arguments["status"]))
        headers = Headers([("Content-Type", "text/plain"), ("Set-Cookie", "refused=1"), ("Content-Length", "3")])
        return Response(status.value, status.phrase, headers, b"no!")

    def serve(self, websocket: ServerConnection) -> None:
        assert websocket.request is not None
        action, arguments = _split(websocket.request)
        try:
            getattr(self, f"_{action}")(websocket, arguments)
            websocket.close()
        except ConnectionClosed:
            pass
        protocol = websocket.protocol
        self.ends.append((protocol.close_code or 0, protocol.close_reason or ""))

    def _echo(self, websocket: ServerConnection, _: dict[str, str]) -> None:
        for message in websocket:
            websocket.send(message)

    def _fragments(self, websocket: ServerConnection, _: dict[str, str]) -> None:
        for message in websocket:
            if isinstance(message, str):
                websocket.send(message[at : at + 3] for at in range(0, len(message), 3))
            else:
                websocket.send(message[at : at + 3] for at in range(0, len(message), 3))

    def _fields(self, websocket: ServerConnection, _: dict[str, str]) -> None:
        assert websocket.request is not None
        websocket.send(json.dumps([websocket.request.path, list(websocket.request.headers.raw_items())]))

    def _close(self, websocket: ServerConnection, arguments: dict[str, str]) -> None:
        websocket.recv()
        websocket.close(int(arguments["code"]), arguments["reason"])

    def _abort(self, websocket: ServerConnection, _: dict[str, str]) -> None:
        websocket.recv()
        websocket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        websocket.socket.close()

    def _ping(self, websocket: ServerConnection, _: dict[str, str]) -> None:
        pong = websocket.ping(b"\x00\xffping")
        for _message in websocket:
            websocket.send("pong" if pong.wait(10 * SECOND) else "no pong")

    def _flood(self, websocket: ServerConnection, arguments: dict[str, str]) -> None:
        for _number in range(int(arguments["n"])):
            websocket.send(b"x" * int(arguments["size"]))

    def _stall(self, websocket: ServerConnection, _: dict[str, str]) -> None:
        self._going_on.wait(60 * SECOND)
        for message in websocket:
            self.received.append(message)


def _choose(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return next((Subprotocol(name) for name in SUBPROTOCOLS if name in offered), None)


def _split(request: Request) -> tuple[str, dict[str, str]]:
    parts = urlsplit(request.path)
    return parts.path.rpartition("/")[2], dict(parse_qsl(parts.query, keep_blank_values=True))


@contextmanager
def a_backend() -> Iterator[Backend]:
    """The server, on a free port of loopback."""
    backend = Backend()
    server: Server
    with serve(
        backend.serve,
        "127.0.0.1",
        0,
        process_request=backend.refuse,
        select_subprotocol=_choose,
        max_size=None,
        max_queue=1,
        ping_interval=None,
    ) as server:
        backend.url = f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield backend
        backend.go_on()
        server.shutdown()
        thread.join(10 * SECOND)
