"""A backend that notes every request it sees and misbehaves as it is told: `python -m tests.system.peers NOTES`.

A server made of sockets, so that it can break every rule. The last segment of the path says what it does; the query
says how much. Anything it does not know it answers with what arrived, as JSON.

    /echo            the body that came
    /sleep?ms=       what arrived, late
    /big?n=          n bytes;  with `chunked` in pieces without a length
    /drip?n=&ms=&pieces=   n bytes in pieces with pauses; `chunked` likewise
    /die-after?n=&of=      n of `of` announced bytes, then a reset; `chunked` likewise
    /sse?n=&ms=      n events
    /hang            never an answer
    /reset           a reset before any answer
    /raw?hex=        exactly these bytes, then the end of the connection
    /vector?name=    likewise, the bytes of a file in `tests/vectors/bad`
    /status?code=    that status, and no body
    /cookie?value=   sets that cookie, and tells which cookies came
"""

import json
import os
import socket
import socketserver
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import parse_qsl

VECTORS: Final = Path(__file__).parents[1] / "vectors" / "bad"

LONGEST_LIFE: Final = 120.0
"""Seconds after which even a hanging answer ends."""

_connections = count()


class Broken(Exception):
    """The request is not one that this server can read."""


@dataclass(frozen=True, slots=True)
class Request:
    """What arrived."""

    method: str
    target: str
    fields: list[tuple[str, str]]
    body: bytes

    @property
    def action(self) -> str:
        return self.target.partition("?")[0].rpartition("/")[2]

    @property
    def arguments(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    def number(self, name: str, default: int = 0) -> int:
        return int(self.arguments.get(name, default))

    def get(self, name: str) -> str:
        return next((value for key, value in self.fields if key.lower() == name.lower()), "")

    def as_json(self) -> bytes:
        seen = {
            "method": self.method,
            "target": self.target,
            "fields": self.fields,
            "length": len(self.body),
            "sha256": sha256(self.body).hexdigest(),
        }
        return json.dumps(seen).encode()


def read_request(stream: BinaryIO) -> Request | None:
    """The next request of a connection; None at its end. Raises `Broken`."""
    first = stream.readline(1 << 20)
    if not first:
        return None
    try:
        method, target, _ = first.decode("latin-1").rstrip("\r\n").split(" ")
    except ValueError as exc:
        raise Broken(f"request line {first!r}") from exc
    fields = _read_fields(stream)
    values = {name.lower(): value for name, value in fields}
    if "chunked" in values.get("transfer-encoding", ""):
        return Request(method, target, fields, _read_chunks(stream))
    return Request(method, target, fields, _read(stream, int(values.get("content-length", 0))))


def _read_fields(stream: BinaryIO) -> list[tuple[str, str]]:
    fields = []
    while (line := stream.readline(1 << 20)) not in (b"\r\n", b"\n", b""):
        name, _, value = line.decode("latin-1").rstrip("\r\n").partition(":")
        fields.append((name, value.strip(" \t")))
    return fields


def _read(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise Broken(f"a body of {len(data)} bytes, announced were {size}")
    return data


def _read_chunks(stream: BinaryIO) -> bytes:
    body = bytearray()
    while size := int(stream.readline(1 << 10), 16):
        body += _read(stream, size)
        stream.readline(1 << 10)
    _read_fields(stream)
    return bytes(body)


class Answer:
    """One answer being written to a socket."""

    def __init__(self, connection: socket.socket, request: Request) -> None:
        self._connection = connection
        self._request = request
        self._is_chunked = "chunked" in request.arguments

    def send(self, body: bytes, *fields: tuple[str, str], status: int = 200) -> None:
        """A whole answer; to HEAD without the body."""
        self.raw(_head(status, [*fields, ("Content-Length", str(len(body)))]))
        if self._request.method != "HEAD":
            self.raw(body)

    def begin(self, size: int, *fields: tuple[str, str]) -> None:
        """The head of an answer of `size` bytes, framed as the request wants."""
        framing = ("Transfer-Encoding", "chunked") if self._is_chunked else ("Content-Length", str(size))
        self.raw(_head(200, [*fields, framing]))

    def piece(self, data: bytes) -> None:
        if data:
            self.raw(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)

    def end(self) -> None:
        if self._is_chunked:
            self.raw(b"0\r\n\r\n")

    def raw(self, data: bytes) -> None:
        self._connection.sendall(data)

    def reset(self) -> None:
        """End the connection the hard way: the other side sees ECONNRESET."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()
        raise ConnectionResetError

    def close(self) -> None:
        raise ConnectionAbortedError


def _head(status: int, fields: list[tuple[str, str]]) -> bytes:
    lines = [f"HTTP/1.1 {status} Peer", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def pattern(size: int) -> bytes:
    """So many bytes that are not the same everywhere: a mix-up of pieces shows."""
    block = bytes(range(256)) * 251 + b"|"
    return (block * (size // len(block) + 1))[:size]


def _seen(request: Request, answer: Answer) -> None:
    answer.send(request.as_json(), ("Content-Type", "application/json"))


def _echo(request: Request, answer: Answer) -> None:
    answer.send(request.body, ("Content-Type", request.get("Content-Type") or "application/octet-stream"))


def _sleep(request: Request, answer: Answer) -> None:
    time.sleep(request.number("ms") / 1000)
    _seen(request, answer)


def _big(request: Request, answer: Answer) -> None:
    answer.begin(request.number("n"))
    answer.piece(pattern(request.number("n")))
    answer.end()


def _drip(request: Request, answer: Answer) -> None:
    size, pieces = request.number("n"), request.number("pieces", 10)
    data, step = pattern(size), -(-size // pieces)
    answer.begin(size)
    for start in range(0, size, step):
        answer.piece(data[start : start + step])
        time.sleep(request.number("ms") / 1000)
    answer.end()


def _die_after(request: Request, answer: Answer) -> None:
    answer.begin(request.number("of"))
    answer.piece(pattern(request.number("n")))
    time.sleep(0.2)
    answer.reset()


def _sse(request: Request, answer: Answer) -> None:
    answer.raw(_head(200, [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")]))
    for number in range(request.number("n")):
        answer.raw(f"data: {number} {time.time():.3f}\n\n".encode())
        time.sleep(request.number("ms") / 1000)
    answer.close()


def _hang(request: Request, answer: Answer) -> None:
    time.sleep(LONGEST_LIFE)


def _reset(request: Request, answer: Answer) -> None:
    answer.reset()


def _raw(request: Request, answer: Answer) -> None:
    answer.raw(bytes.fromhex(request.arguments["hex"]))
    answer.close()


def _vector(request: Request, answer: Answer) -> None:
    answer.raw((VECTORS / f"{request.arguments['name']}.http").read_bytes())
    answer.close()


def _status(request: Request, answer: Answer) -> None:
    code = request.number("code")
    framing = [] if code in (204, 304) else [("Content-Length", "0")]
    answer.raw(_head(code, [("X-Peer", "status"), ("ETag", '"1"'), *framing]))


def _cookie(request: Request, answer: Answer) -> None:
    value = request.arguments["value"]
    body = json.dumps({"value": value, "cookie": request.get("Cookie")}).encode()
    answer.send(body, ("Set-Cookie", f"user={value}; Path=/"))


ACTIONS: Final[dict[str, Callable[[Request, Answer], None]]] = {
    "echo": _echo,
    "sleep": _sleep,
    "big": _big,
    "drip": _drip,
    "die-after": _die_after,
    "sse": _sse,
    "hang": _hang,
    "reset": _reset,
    "raw": _raw,
    "vector": _vector,
    "status": _status,
    "cookie": _cookie,
}


class Notes:
    """Appends a line of JSON for each request; also for what could not be read as one."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def add(self, connection: int, method: str, target: str, test_id: str) -> None:
        note = {"connection": connection, "method": method, "target": target, "id": test_id, "time": time.time()}
        os.write(self._file, json.dumps(note).encode() + b"\n")


class Handler(socketserver.StreamRequestHandler):
    """One connection: request after request, until somebody has had enough."""

    timeout = LONGEST_LIFE
    disable_nagle_algorithm = True
    notes: Notes

    def handle(self) -> None:
        number = next(_connections)
        try:
            while request := read_request(self.rfile):  # type: ignore[arg-type]
                self.notes.add(number, request.method, request.target, request.get("X-Test-Id"))
                ACTIONS.get(request.action, _seen)(request, Answer(self.connection, request))
                if "close" in request.get("Connection").lower():
                    return
        except (Broken, ValueError) as exc:
            self.notes.add(number, "BROKEN", str(exc), "")
        except (ConnectionError, TimeoutError):
            return


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256


def main() -> None:
    Handler.notes = Notes(Path(sys.argv[1]))
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with Server(("127.0.0.1", port), Handler) as server:
        print(f"Listening on http://127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
