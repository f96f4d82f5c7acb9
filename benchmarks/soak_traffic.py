"""What users do to an agent in a soak: requests of many kinds, some given up half-way; websockets, some just left."""

import base64
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from tests.system.rawhttp import Connection, call, request_bytes

SHIM: Final = "/websocket-shim"

WEBSOCKET_MESSAGES: Final = 5

_PATIENCE: Final = 30.0
"""Seconds that a user waits for the next byte."""

_PAUSE_AFTER_TROUBLE: Final = 0.05


class WentWrong(Exception):
    """An answer that is not what the backend was asked for."""


class Users:
    """Users at the proxy of `url`; what they did is counted by name, what went wrong likewise."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._acts: tuple[Callable[[random.Random], None], ...] = (
            *(self._get, self._get, self._post, self._download, self._stream, self._fail_half_way, self._give_up),
            *(self._upload, self._use_websocket, self._leave_websocket),
        )
        self._lock = threading.Lock()  # guards the two below
        self.done: Counter[str] = Counter()
        self.trouble: Counter[str] = Counter()

    def act(self, seconds: float, *, users: int, seed: int) -> None:
        """Let so many users act at the same time, for so long."""
        until = time.monotonic() + seconds
        with ThreadPoolExecutor(users) as pool:
            for future in [pool.submit(self._act_until, until, random.Random(seed + user)) for user in range(users)]:
                future.result()

    def _act_until(self, until: float, chance: random.Random) -> None:
        while time.monotonic() < until:
            act = chance.choice(self._acts)
            name = act.__name__.strip("_")
            try:
                act(chance)
            except (OSError, WentWrong, ValueError, AssertionError) as exc:
                self._count(self.trouble, f"{name}: {exc or type(exc).__name__}")
                time.sleep(_PAUSE_AFTER_TROUBLE)  # noqa: TID251  # a user, not a program
            else:
                self._count(self.done, name)

    def _count(self, counter: Counter[str], name: str) -> None:
        with self._lock:
            counter[name] += 1

    def _ask(self, method: str, target: str, *fields: tuple[str, str], body: bytes | None = None) -> bytes:
        reply = call(self._url, method, target, fields=fields, body=body, timeout=_PATIENCE)
        if reply.status != 200 or not reply.is_whole:
            raise WentWrong(f"{reply.status} {reply.reason or ''} {'' if reply.is_whole else 'cut off'}".strip())
        return reply.body

    def _get(self, chance: random.Random) -> None:
        """A small page, with a session of one's own now and then."""
        self._ask("GET", f"/cookie?value={chance.random()}")

    def _post(self, chance: random.Random) -> None:
        self._expect("POST", "/echo", chance.randbytes(chance.randrange(20_000)))

    def _upload(self, chance: random.Random) -> None:
        """A body that the agent does not read whole before it sends it on."""
        self._expect("PUT", "/echo", chance.randbytes(400_000))

    def _expect(self, method: str, target: str, body: bytes) -> None:
        if self._ask(method, target, body=body) != body:
            raise WentWrong("another body came back")

    def _download(self, chance: random.Random) -> None:
        size = chance.randrange(1_000_000)
        if len(self._ask("GET", f"/big?n={size}")) != size:
            raise WentWrong("a body of another length")

    def _stream(self, chance: random.Random) -> None:
        self._ask("GET", f"/drip?n=30000&ms=20&pieces=5{chance.choice(['', '&chunked'])}")

    def _fail_half_way(self, chance: random.Random) -> None:
        """The backend breaks its answer off, or gives none."""
        target = chance.choice(["/die-after?n=1000&of=300000", "/die-after?n=1000&of=300000&chunked", "/reset"])
        reply = call(self._url, "GET", target, timeout=_PATIENCE)
        if reply.is_whole and reply.status == 200:
            raise WentWrong("an answer that broke off looks whole")

    def _give_up(self, chance: random.Random) -> None:
        """The user leaves before the answer has come, or in the middle of an upload."""
        method, target, announced = chance.choice(
            [("GET", "/drip?n=300000&ms=100&pieces=20", 0), ("PUT", "/echo", 10**6)]
        )
        with Connection(self._url, timeout=_PATIENCE) as connection:
            fields = [("Content-Length", str(announced))] if announced else []
            connection.send(
                request_bytes(method, target, host=connection.host, fields=fields) + b"x" * (announced // 3)
            )
            time.sleep(chance.random() / 4)  # noqa: TID251  # a user, not a program

    def _use_websocket(self, chance: random.Random) -> None:
        """Open, say something, hear it back, close."""
        session = self._open_websocket()
        sent: list[str | list[str]] = [_message(chance) for _ in range(WEBSOCKET_MESSAGES)]
        self._shim("data", [{"id": session, "msg": message} for message in sent])
        heard: list[object] = []
        while len(heard) < len(sent):
            heard += json.loads(self._shim("poll", {"id": session}))
        if heard != sent:
            raise WentWrong("a websocket says something else")
        self._shim("close", {"id": session})

    def _leave_websocket(self, chance: random.Random) -> None:
        """Open, say something, and never be seen again."""
        session = self._open_websocket()
        self._shim("data", [{"id": session, "msg": _message(chance)}])

    def _open_websocket(self) -> str:
        target, version = f"{SHIM}/open", ("X-Websocket-Shim-Version", "1")
        opened = json.loads(self._ask("POST", target, version, body=b"ws://backend/ws/echo"))
        return str(opened["id"])

    def _shim(self, name: str, content: object) -> bytes:
        return self._ask("POST", f"{SHIM}/{name}", body=json.dumps(content).encode())

    def rush(self, users: int) -> None:
        """So many requests at the same time, each held by the backend: every thread and connection there may be."""

        def ask() -> None:
            with suppress(OSError, WentWrong):
                self._ask("GET", "/sleep?ms=500")

        with ThreadPoolExecutor(users) as pool:
            for future in [pool.submit(ask) for _ in range(users)]:
                future.result()


def _message(chance: random.Random) -> str | list[str]:
    """A text message, or a binary one, as the shim writes it."""
    if chance.random() < 0.5:
        return "ä" * chance.randrange(1, 2000)
    return [base64.b64encode(chance.randbytes(chance.randrange(1, 20_000))).decode("ascii")]
