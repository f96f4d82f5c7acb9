"""The door of administrators: the one application of `api_service`, run in a thread for each of its few calls.

Who calls is known, and the body is there, before a thread works for anybody. Flask is imported at the first call: a
proxy that nobody administers needs no memory for it.
"""

import asyncio
import io
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from broker.errors import NotAllowed, Overloaded
from broker.forwarding import in_origin_form
from broker.policy import Policy
from edge.identity import Caller, Identity
from standalone.calls import Call
from standalone.identity.access import Admin
from wire.errors import MessageTooLarge
from wire.headers import Headers
from wire.http1 import End, ResponseHead

if TYPE_CHECKING:
    from flask import Flask

MAX_BODY_BYTES: Final = 1 << 20
"""The limit of the API's own."""

_THREADS: Final = 4
_CALLS: Final = 64
"""How many may wait for a thread, or for the rest of a body."""

_caller: ContextVar[str] = ContextVar("account of the administrator whose call this thread serves")


class Administrators:
    """Serves the calls of administrators. `make_app` makes the application that answers them, and is called once."""

    def __init__(self, *, admin: Admin, make_app: Callable[[Identity], "Flask"], policy: Policy) -> None:
        self._admin = admin
        self._policy = policy
        self._make_app = make_app
        self._made: Flask | None = None
        self._making = threading.Lock()  # guards what is made
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="api")
        self._running = 0

    async def serve(self, call: Call) -> None:
        """Answer a call. Raises `BrokerError`, `WireError` and `Refusal`, for the caller to answer in JSON."""
        call.form = "json"
        account = await self._admin(call.caller)
        if self._running >= _CALLS:
            raise Overloaded(f"{_CALLS} calls of administrators are under way already")
        self._running += 1
        try:
            environ = environ_of(call, await self._read(call))
            head, body = await asyncio.get_running_loop().run_in_executor(self._threads, self._run, environ, account)
        finally:
            self._running -= 1
        await call.send(head)
        await call.send(body)
        await call.send(End())

    async def _read(self, call: Call) -> bytes:
        too_large = MessageTooLarge(f"a call of the API over the limit of {MAX_BODY_BYTES} bytes")
        if isinstance(call.head.length, int) and call.head.length > MAX_BODY_BYTES:
            raise too_large
        body, is_last = bytearray(), call.head.length in (None, 0)
        while not is_last:
            data, is_last = await call.read(self._policy.idle_wait)
            body += data
            if len(body) > MAX_BODY_BYTES:
                raise too_large
        return bytes(body)

    def _run(self, environ: dict[str, Any], account: str) -> tuple[ResponseHead, bytes]:
        """In a thread: the answer. The application writes the line in the log."""
        from werkzeug.wrappers import Response

        token = _caller.set(account)
        try:
            response = Response.from_app(self._application(), environ, buffered=True)
        finally:
            _caller.reset(token)
        body = response.get_data()
        headers = Headers(response.headers.items()).without("Content-Length")
        return ResponseHead(response.status_code, headers, response.content_length or len(body)), body

    def _application(self) -> "Flask":
        with self._making:
            self._made = self._made or self._make_app(KnownAdministrator())
            return self._made


class KnownAdministrator:
    """Says to the application who calls: the door has found out. Nobody else comes in there."""

    def end_user(self, caller: Caller) -> str:
        return ""

    def backend_account(self, caller: Caller) -> str:
        raise NotAllowed("this is the door of administrators", authenticated=True)

    def admin(self, caller: Caller) -> str:
        return _caller.get()


def environ_of(call: Call, body: bytes) -> dict[str, Any]:
    """A call as WSGI has it (PEP 3333), and `RAW_URI`. Fields with `_` in their names are dropped, because WSGI cannot
    tell them from those with `-`."""
    head = in_origin_form(call.head)
    path, _, query = head.target.partition("?")
    environ = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": head.target,
        "SERVER_NAME": "proxy",
        "SERVER_PORT": "0",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": call.caller.peer,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": call.client.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in head.headers:
        key = "CONTENT_TYPE" if name.lower() == "content-type" else f"HTTP_{name.upper().replace('-', '_')}"
        if "_" not in name:
            environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ
