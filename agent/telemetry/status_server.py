"""The status port: whether the agent works (`/healthz`), serves (`/readyz`), its metrics, and a page for people (`/`).

For the operator's machine: it asks nobody who he is, knows no secret, and changes nothing. A page in the operator's
browser must not read it under a name of its own (DNS rebinding): a loopback address answers to loopback names alone.
"""

import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

from agent.commandline.parsing import is_loopback
from agent.telemetry import status_page
from agent.telemetry.condition import why_not_ready
from agent.telemetry.record import ServedBackend, Snapshot

logger = logging.getLogger(__name__)

_THREADS: Final = 8
"""Requests at a time; further connections are closed."""

_LIMIT: Final = 5.0
"""Seconds for a whole connection: one request, one answer."""

_STOPPING: Final = 0.1
"""Seconds after which a stop is noticed."""

_TEXT: Final = "text/plain; charset=utf-8"
_JSON: Final = "application/json"

_FIELDS: Final = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", status_page.CONTENT_SECURITY_POLICY),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a path is answered with."""

    status: int
    media_type: str
    body: bytes


class Answers:
    """Answers by path."""

    def __init__(
        self,
        backends: Sequence[ServedBackend],
        *,
        version: str,
        now: Callable[[], float],
        processes: Callable[[], Sequence[int]] = lambda: [os.getpid()],
    ) -> None:
        self._backends = backends
        self._processes = processes
        self._version = version
        self._now = now
        self._began = now()
        self._render_metrics: Callable[[], bytes] | None = None
        self._importing = threading.Lock()  # guards _render_metrics

    def answer(self, path: str) -> Answer:
        make = {
            "/": self._page,
            "/healthz": self._health,
            "/readyz": self._readiness,
            "/metrics": self._metrics,
        }.get(path)
        return make() if make is not None else _text(404, "There is /, /healthz, /readyz and /metrics.")

    def _health(self) -> Answer:
        broken = [each.record.backend_id for each in self._backends if not each.is_working()]
        if broken:
            return _text(503, f"not asked for requests any more: {', '.join(broken)}; start the agent again")
        return _text(200, "ok")

    def _readiness(self) -> Answer:
        reasons = {snapshot.backend_id: why_not_ready(snapshot) for snapshot in self._snapshots()}
        is_ready = not any(reasons.values())
        backends = {backend_id: {"ready": not why, "reason": why} for backend_id, why in reasons.items()}
        body = json.dumps({"ready": is_ready, "backends": backends}, indent=2) + "\n"
        return Answer(200 if is_ready else 503, _JSON, body.encode("ascii"))

    def _metrics(self) -> Answer:
        # Half a second to import: who does not ask does not pay, and the first poll does not wait.
        from agent.telemetry.prometheus import CONTENT_TYPE, Exposition

        with self._importing:
            if self._render_metrics is None:
                exposition = Exposition(self._snapshots, version=self._version, processes=self._processes)
                self._render_metrics = exposition.render
        return Answer(200, CONTENT_TYPE, self._render_metrics())

    def _page(self) -> Answer:
        shown = [
            status_page.ShownBackend(each.record.snapshot(), each.host, is_working=each.is_working())
            for each in self._backends
        ]
        page = status_page.render(shown, version=self._version, uptime=self._now() - self._began)
        return Answer(200, "text/html; charset=utf-8", page.encode(errors="replace"))

    def _snapshots(self) -> list[Snapshot]:
        return [each.record.snapshot() for each in self._backends]


class StatusServer:
    """Listens from the beginning, answers from `start` on."""

    def __init__(self, host: str, port: int, answers: Answers) -> None:
        """Raises `OSError` for an address that cannot be listened at. Port 0 is any free one."""
        self._server = _Server(host, port, answers)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_STOPPING,), name="status", daemon=True
        )

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Listen no more; after `start`. What is being answered is not waited for."""
        self._server.shutdown()
        self._server.server_close()


class _Server(HTTPServer):
    """Each connection in a thread of its own, up to a limit."""

    request_queue_size = 16

    def __init__(self, host: str, port: int, answers: Answers) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.answers = answers
        self.takes_loopback_alone = is_loopback(host)
        self._room = threading.BoundedSemaphore(_THREADS)
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        # HTTPServer asks the resolver for this machine's name, which may take long, and uses it nowhere here.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            threading.Thread(target=self._serve, args=(request, client_address), name="status", daemon=True).start()
        except RuntimeError:  # no more threads
            self._room.release()
            self.shutdown_request(request)

    def _serve(self, request: socket.socket, client_address: Any) -> None:
        # A time-out counts for each read alone: who sends a byte a second would hold the thread for hours.
        deadline = threading.Timer(_LIMIT, _cut, args=(request,))
        deadline.daemon = True
        deadline.start()
        try:
            self.finish_request(request, client_address)
        except OSError as exc:
            logger.debug("a client of the status port left: %s", exc)
        except Exception:
            logger.exception("the status port failed")
        finally:
            deadline.cancel()
            self.shutdown_request(request)
            self._room.release()


class _Handler(BaseHTTPRequestHandler):
    """One GET or HEAD."""

    server: _Server
    timeout = _LIMIT
    protocol_version = "HTTP/1.0"  # One request for each connection.
    server_version = "inverting-proxy-agent"
    sys_version = ""

    def do_GET(self) -> None:
        if self.server.takes_loopback_alone and not _names_loopback(self.headers.get_all("Host") or []):
            self._send(_text(403, "This port answers under http://127.0.0.1 and http://localhost alone."))
            return
        self._send(self.server.answers.answer(self.path.partition("?")[0]))

    do_HEAD = do_GET

    def _refuse(self) -> None:
        self._send(_text(405, "Nothing can be changed here."))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        for name, value in _FIELDS:
            self.send_header(name, value)
        self.send_header("Content-Type", answer.media_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What is not HTTP, or a method that nobody knows; nothing of it is repeated."""
        self.close_connection = True
        self._send(_text(code, HTTPStatus(code).phrase))

    def log_message(self, format: str, *args: Any) -> None:
        """A probe each second is not worth a line."""


def _names_loopback(hosts: list[str]) -> bool:
    if len(hosts) != 1:
        return False
    try:
        return is_loopback(urlsplit(f"//{hosts[0]}").hostname or "")
    except ValueError:
        return False


def _text(status: int, text: str) -> Answer:
    return Answer(status, _TEXT, f"{text}\n".encode())


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError as exc:
        logger.debug("a client of the status port left: %s", exc)
