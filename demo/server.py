"""The demo's server: every path shows what arrived, but for three that are there to be tried.

    /slow?seconds=3   answers after that time
    /status/503       answers with that status
    /events           a stream of server-sent events, one a second

Whoever asks with `Accept: application/json` gets what arrived as JSON.
"""

import hashlib
import re
import time
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Protocol
from urllib.parse import parse_qs, urlsplit

from demo.page import Arrived, render_json, render_page

LONGEST_SECONDS: Final = 60
EVENTS: Final = 10
_NUMBER = re.compile(r"\d{1,3}(?:\.\d{1,3})?", re.ASCII)
_ERROR_STATUS = re.compile(r"[45]\d\d", re.ASCII)
_SLICE: Final = 1 << 16
_LONGEST_LINE: Final = 1 << 12


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...
    def readline(self, size: int, /) -> bytes: ...


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a head and its body are two writes: the second would wait 40 ms for an ACK
    server_version = "demo"
    sys_version = ""
    server: "DemoServer"

    def setup(self) -> None:
        """A connection that is silent for too long ends."""
        super().setup()
        self.connection.settimeout(self.server.silence)

    def handle_one_request(self) -> None:
        """One request, whatever its method is: the base class looks for a `do_METHOD`."""
        self.close_connection = True
        try:
            self.raw_requestline = self.rfile.readline(_SLICE + 1)
            if self.raw_requestline and self.parse_request():
                self._answer()
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True

    def _answer(self) -> None:
        size, digest = 0, hashlib.sha256()
        try:
            for piece in _body(self.headers, self.rfile):
                size += len(piece)
                digest.update(piece)
        except ValueError:
            self.close_connection = True
            self._send_text(400, "the framing of the body cannot be read\n")
            return
        address = urlsplit(self.path)
        if address.path == "/slow":
            self._answer_slowly(parse_qs(address.query).get("seconds", ["3"])[0])
        elif address.path.startswith("/status/"):
            self._answer_status(address.path.removeprefix("/status/"))
        elif address.path == "/events":
            self._answer_events()
        else:
            target = self.requestline.split()[1]  # `self.path` has repeated slashes at its start merged
            self._show(Arrived(self.command, target, tuple(self.headers.items()), size, digest.hexdigest()))

    def _show(self, arrived: Arrived) -> None:
        if "application/json" in self.headers.get("Accept", ""):
            self._send(200, "application/json", render_json(arrived))
        else:
            page, policy = render_page(arrived)
            self._send(200, "text/html; charset=utf-8", page, ("Content-Security-Policy", policy))

    def _answer_slowly(self, wish: str) -> None:
        if not _NUMBER.fullmatch(wish) or float(wish) > LONGEST_SECONDS:
            self._send_text(400, f"seconds: not a number from 0 to {LONGEST_SECONDS}\n")
            return
        time.sleep(float(wish))
        self._send_text(200, f"answered after {wish} s\n")

    def _answer_status(self, wish: str) -> None:
        if _ERROR_STATUS.fullmatch(wish):
            self._send_text(int(wish), f"the backend answered {wish}, as asked\n")
        else:
            self._send_text(400, "status: not a number from 400 to 599\n")

    def _answer_events(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for number in range(1, EVENTS + 1):
            self.wfile.write(f"id: {number}\ndata: event {number} of {EVENTS}\n\n".encode("ascii"))
            time.sleep(1 if number < EVENTS else 0)

    def _send_text(self, status: int, text: str) -> None:
        self._send(status, "text/plain; charset=utf-8", text.encode("utf-8"))

    def _send(self, status: int, media_type: str, body: bytes, *fields: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (("Content-Type", media_type), ("Content-Length", str(len(body))), *fields):
            self.send_header(name, value)
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: what arrived is on the page."""


class DemoServer(ThreadingHTTPServer):
    """One thread a connection; none of them outlives the process, nor `silence` seconds of a silent client."""

    daemon_threads = True

    def __init__(self, host: str, port: int, *, silence: float = 75.0) -> None:
        self.silence = silence
        super().__init__((host, port), _Handler)


def _body(headers: "Message[str, str]", stream: _Readable) -> Iterator[bytes]:
    """The pieces of a request's body; the standard library's server leaves the framing to its user."""
    if headers.get("Transfer-Encoding", "").lower() != "chunked":
        yield from _exactly(int(headers.get("Content-Length") or 0), stream)
        return
    while size := int(stream.readline(_LONGEST_LINE).split(b";")[0], 16):
        yield from _exactly(size, stream)
        stream.readline(_LONGEST_LINE)
    while stream.readline(_LONGEST_LINE).strip():
        """A trailer field: the demo shows none."""


def _exactly(size: int, stream: _Readable) -> Iterator[bytes]:
    while size and (piece := stream.read(min(size, _SLICE))):
        yield piece
        size -= len(piece)
