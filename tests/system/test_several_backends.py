"""One agent, one file, two backends with settings of their own: at a proxy each, and at one that tells them by path."""

import json
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from tests.agent.peers import Peer as Server
from tests.agent.peers import Wire
from tests.system.processes import Process, interpreter
from tests.system.rawhttp import Reply, call, get
from tests.system.shapes import AppEngine, Standalone
from tests.timing import SECOND, wait_until

PREFIXES: Final = ("/first", "/second")
"""Where each backend's paths begin: App Engine goes by that."""

_numbers = count()


@dataclass
class Door:
    """Where one backend is: for its users, and for its agent."""

    url: str
    agent_url: str
    backend_id: str
    proxy: Standalone | None = None


@dataclass
class Gate:
    """A request that ends in `/slow` waits here until it may go on."""

    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def pass_through(self, target: str) -> None:
        if target.endswith("/slow"):
            self.reached.set()
            self.opened.wait(20 * SECOND)


def described(name: str, target: str, fields: list[tuple[str, str]]) -> bytes:
    return json.dumps({"name": name, "target": target, "fields": fields}).encode()


class WebsocketBackend:
    """Echoes what websockets say, and answers all else with what it saw."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.closed: list[int | None] = []
        self._port = 0
        self.start()

    def start(self) -> None:
        """Listen, after `stop` at the same port."""
        self._server = serve(self._talk, "127.0.0.1", self._port, process_request=self._answer)
        self._port = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join(20 * SECOND)

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        if "Upgrade" in request.headers:
            return None
        self.gate.pass_through(request.path)
        body = described("websockets", request.path, list(request.headers.raw_items()))
        return Response(200, "OK", Headers({"Content-Length": str(len(body)), "Connection": "close"}), body)

    def _talk(self, websocket: ServerConnection) -> None:
        for message in websocket:
            websocket.send(message)
        self.closed.append(websocket.close_code)


class UnixBackend:
    """Answers with what it saw, at a unix socket."""

    def __init__(self, path: Path) -> None:
        self.gate = Gate()
        self.url = f"unix://{path}"
        self._path = path
        self.start()

    def start(self) -> None:
        """Listen, after `stop` at the same path."""
        self._path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen()
        self._wires: list[Wire] = []
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for wire in self._wires:
            with suppress(OSError):  # closed already
                wire.socket.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                wire = Wire(listener.accept()[0])
            except OSError:
                return
            self._wires.append(wire)
            threading.Thread(target=self._run, args=(wire,), daemon=True).start()

    def _run(self, wire: Wire) -> None:
        with wire.socket:
            try:
                answering("unix", self.gate)(wire)
            except Exception:
                return  # The agent, or the test, has closed the connection.


def answering(name: str, gate: Gate) -> Callable[[Wire], None]:
    def run(wire: Wire) -> None:
        while True:
            message = wire.read_message()
            gate.pass_through(message.target)
            body = described(name, message.target, message.fields)
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    return run


class Scene:
    """The agent between two doors and its backends."""

    def __init__(self, doors: tuple[Door, Door], token: str, folder: Path, stack: ExitStack) -> None:
        self.doors = doors
        self.websockets = WebsocketBackend()
        stack.callback(self.websockets.stop)
        self.unix = UnixBackend(folder / "backend.sock")
        stack.callback(self.unix.stop)
        mapped = Server(answering("mapped", Gate()))
        stack.callback(mapped.close)
        first, second = doors
        (folder / "token").write_text(f"{token}\n")
        config = folder / "agents.toml"
        config.write_text(f"""
            proxy = "{first.agent_url}"
            credentials = "{f"file:{folder / 'token'}" if token else "none"}"

            [[backends]]
            backend = "{first.backend_id}"
            host = "{self.websockets.url}"
            shim-path = "first/shim"
            shim-websockets = true
            request-header = ["X-Which: first"]

            [[backends]]
            proxy = "{second.agent_url}"
            backend = "{second.backend_id}"
            host = "{self.unix.url}"
            path-map = {{ "/second/api" = "{mapped.url}" }}
        """)
        self.agent = Process("agent", [interpreter("agent"), "-m", "agent", f"--config={config}"], log=folder / "log")
        stack.callback(self.agent.kill)
        for number in range(2):
            wait_until(lambda number=number: self.is_online(number), within=20 * SECOND, what=f"backend {number}")  # type: ignore[misc]

    def is_online(self, number: int) -> bool:
        self.agent.require_running()
        return self.get(number, "/online").reason not in ("no-agent", "no-backend")

    def get(self, number: int, path: str) -> Reply:
        return get(self.doors[number].url, f"{PREFIXES[number]}{path}")

    def seen(self, number: int, path: str = "/x") -> tuple[str, str, list[str]]:
        """Who answered, what was asked for, and the values of `X-Which`."""
        reply = self.get(number, path)
        assert reply.status == 200, reply
        arrived = json.loads(reply.body)
        return arrived["name"], arrived["target"], [value for name, value in arrived["fields"] if name == "X-Which"]

    def post(self, number: int, path: str, body: object) -> Any:
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        reply = call(self.doors[number].url, "POST", f"{PREFIXES[number]}{path}", body=raw)
        assert reply.status == 200, reply
        return json.loads(reply.body) if reply.body[:1] in (b"{", b"[") else reply.body

    def open_websocket(self) -> str:
        session_id: str = self.post(0, "/shim/open", "ws://x/first/socket")["id"]
        return session_id

    def echoed(self, session_id: str) -> Any:
        """What comes back of the session's first message."""
        self.post(0, "/shim/data", [{"id": session_id, "msg": "hello", "n": 0}])
        return self.post(0, "/shim/poll", {"id": session_id, "ack": 0})


@contextmanager
def a_scene(shape_name: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Scene]:
    ids = [f"several-{next(_numbers)}" for _ in range(2)]
    with ExitStack() as stack:
        if shape_name == "standalone":
            proxies = [Standalone(folder) for _ in ids]
            for proxy in proxies:
                stack.callback(proxy.stop)
            doors = [Door(each.url, each.agent_url, name, each) for each, name in zip(proxies, ids, strict=True)]
            token = ""
        else:
            appengine: AppEngine = request.getfixturevalue("appengine")
            for name, prefix in zip(ids, PREFIXES, strict=True):
                appengine.register(name, prefix=prefix)
                stack.callback(appengine.unregister, name)
            doors = [Door(appengine.url, appengine.agent_url, name) for name in ids]
            token = appengine.token
        yield Scene((doors[0], doors[1]), token, folder, stack)


@pytest.fixture
def scene(shape_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    with a_scene(shape_name, request, tmp_path) as scene:
        yield scene


def test_each_is_served_as_its_own_settings_say(scene: Scene) -> None:
    assert scene.seen(0) == ("websockets", "/first/x", ["first"])
    assert scene.seen(1) == ("unix", "/second/x", [])
    assert scene.seen(1, "/api/x") == ("mapped", "/second/api/x", [])
    assert scene.echoed(scene.open_websocket()) == ["hello"]
    # No shim here: the backend gets what would be one of its calls.
    assert scene.post(1, "/shim/open", "ws://x/second/socket")["name"] == "unix"


def test_on_sigterm_what_runs_at_both_is_finished(scene: Scene) -> None:
    scene.echoed(scene.open_websocket())
    gates = scene.websockets.gate, scene.unix.gate
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(scene.seen, number, "/slow") for number in range(2)]
        assert [gate.reached.wait(20 * SECOND) for gate in gates] == [True, True]
        scene.agent.send(signal.SIGTERM)
        wait_until(lambda: "stopping: 2 requests run" in scene.agent.printed(), within=20 * SECOND, what="the stop")
        gates[0].opened.set()
        first = asked[0].result()
        was_running = scene.agent.is_running
        gates[1].opened.set()
        second = asked[1].result()
    assert (first[0], was_running, second[0]) == ("websockets", True, "unix")
    assert scene.agent.wait(20 * SECOND) == 0
    wait_until(lambda: scene.websockets.closed, within=20 * SECOND, what="the end of the websocket")
    assert scene.websockets.closed == [1001]


@pytest.mark.parametrize("down", [0, 1])
def test_a_backend_that_is_down_does_not_disturb_the_other(down: int, scene: Scene) -> None:
    backend = (scene.websockets, scene.unix)[down]
    backend.stop()
    replies = [scene.get(down, "/x") for _ in range(5)]
    others = [scene.seen(1 - down)[0] for _ in range(5)]
    backend.start()
    assert {(reply.status, reply.reason) for reply in replies} == {(502, "backend-unreachable")}
    assert others == [("websockets", "unix")[1 - down]] * 5
    assert scene.seen(down)[0] == ("websockets", "unix")[down]


def test_a_proxy_that_is_down_does_not_disturb_the_other(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """On App Engine both have the same one."""
    with a_scene("standalone", request, tmp_path) as scene:
        proxy = scene.doors[1].proxy
        assert proxy is not None
        proxy.stop()
        wait_until(lambda: "ERROR" in scene.agent.printed() or "WARNING" in scene.agent.printed(),
                   within=20 * SECOND, what="a failed poll")  # fmt: skip
        assert [scene.seen(0)[0] for _ in range(5)] == ["websockets"] * 5
        proxy.restart()
        wait_until(lambda: scene.is_online(1), within=40 * SECOND, what="the second backend")
        assert scene.seen(1)[0] == "unix"


RIGHT: Final = """
proxy = "http://127.0.0.1:1"
credentials = "none"
[[backends]]
backend = "a"
host = "localhost:8888"
"""


@pytest.mark.parametrize(
    ("text", "flags", "expected"),
    [
        ("proxy = ", [], "not TOML"),
        (RIGHT + 'shim-pathh = "x"', [], "backends[0].shim-pathh"),
        (RIGHT + "shim-websockets = [1]", [], "backends[0].shim-websockets"),
        (RIGHT + RIGHT[RIGHT.index("[[") :], [], "twice"),
        (RIGHT + '[[backends]]\nhost = "localhost:9999"', [], "--backend"),
        (RIGHT + '[[backends]]\nbackend = "b"\nlog-format = "json"', [], "backends[1].log-format"),
        (RIGHT, ["--backend=c"], "--backend"),
        ("backends = 1", [], "list of tables"),
    ],
)
def test_a_file_that_is_wrong_ends_it_at_once_with_one_line(
    text: str, flags: list[str], expected: str, tmp_path: Path
) -> None:
    config = tmp_path / "agents.toml"
    config.write_text(text)
    agent = Process("agent", [interpreter("agent"), "-m", "agent", f"--config={config}", *flags], log=tmp_path / "log")
    try:
        assert agent.wait(20 * SECOND) == 2
    finally:
        agent.kill()
    [line] = agent.printed().splitlines()
    assert line.startswith("agent: ")
    assert expected in line
