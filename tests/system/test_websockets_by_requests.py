"""Websockets through agents that take no upgrades: the proxy is their server, and speaks to the agent's shim."""

import base64
import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.system.old_agent import OldAgent
from tests.system.shapes import Site, Standalone
from tests.system.websocket_backend import Backend, a_backend
from tests.timing import SECOND, wait_until

CONFIG: Final = """\
[[backends]]
id = "old"
end-user = "allUsers"
backend-user = "agent@example.com"
shim-path = "shim"
"""


class OriginalAgent(OldAgent):
    """An agent as the original's, with its shim: version 1, IDs 1, 2, 3 …, no numbers, and 400 for whatever is over."""

    def __init__(self, proxy_url: str, *, backend_id: str, backend_url: str) -> None:
        super().__init__(proxy_url, backend_id=backend_id, backend_url=backend_url)
        self._websockets_url = backend_url.replace("http", "ws", 1)
        self._sessions: dict[str, ClientConnection] = {}

    def answer(self, request: bytes) -> list[bytes]:
        head, _, body = request.partition(b"\r\n\r\n")
        target = head.split(b" ")[1].decode()
        if not target.startswith("/shim/"):
            return super().answer(request)
        try:
            status, answer = 200, getattr(self, f"_shim_{target.removeprefix('/shim/')}")(body)
        except TimeoutError:
            status, answer = 408, b""
        except (KeyError, ConnectionClosed) as exc:
            status, answer = 400, f"websocket error: {type(exc).__name__}".encode()
        return [b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(answer), answer)]

    def _shim_open(self, body: bytes) -> bytes:
        parts = urlsplit(body.decode())
        websocket = connect(f"{self._websockets_url}{parts.path}?{parts.query}", legacy=True, max_size=None)  # type: ignore[call-overload]
        session_id = str(len(self._sessions) + 1)
        self._sessions[session_id] = websocket
        return json.dumps({"id": session_id, "msg": f"ws://backend{parts.path}", "v": 1}).encode()

    def _shim_data(self, body: bytes) -> bytes:
        for entry in json.loads(body):
            message = entry["msg"]
            self._sessions[entry["id"]].send(message if isinstance(message, str) else base64.b64decode(message[0]))
        return b"ok"

    def _shim_poll(self, body: bytes) -> bytes:
        message = self._sessions[json.loads(body)["id"]].recv(5)
        return json.dumps([message if isinstance(message, str) else [base64.b64encode(message).decode()]]).encode()

    def _shim_close(self, body: bytes) -> bytes:
        self._sessions[json.loads(body)["id"]].close()
        return b"ok"


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with a_backend() as backend:
        yield backend


@pytest.fixture(scope="module")
def proxy(folder: Path) -> Iterator[Standalone]:
    config = folder / "by-requests.toml"
    config.write_text(CONFIG)
    proxy = Standalone(folder, f"--config={config}")
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module", params=["ours", "original"])
def site(request: pytest.FixtureRequest, proxy: Standalone, backend: Backend, folder: Path) -> Iterator[Site]:
    """Our agent, told not to take upgrades, and one as the original's."""
    site = Site(proxy, backend.url, backend_id="old", folder=folder)
    if request.param == "ours":
        site.start_agent("--disable-native-websockets", "--shim-path=shim", "--rewrite-websocket-host")
        site.wait_until_online()
        yield site
        site.close()
        return
    agent = OriginalAgent(proxy.url, backend_id="old", backend_url=backend.url)
    agent.start()
    site.wait_until_online()
    yield site
    agent.stop()


def opened(site: Site, path: str, **options: Any) -> ClientConnection:
    url = f"{site.url.replace('http', 'ws', 1)}{path}"
    return connect(url, **{"max_size": None, "ping_interval": None, **options})


@pytest.mark.parametrize(
    "message", ["grüß dich \U0001f600", bytes(range(256)), "", b"", "x" * (1 << 20), bytes(8 << 20)], ids=len
)
def test_a_message_comes_back_as_it_was(site: Site, message: str | bytes) -> None:
    with opened(site, "/echo") as websocket:
        websocket.send(message)

        assert websocket.recv(60 * SECOND) == message


def test_compression_is_declined(site: Site) -> None:
    with opened(site, "/echo", compression="deflate") as websocket:
        assert websocket.protocol.extensions == []


def test_messages_arrive_in_order_both_ways(site: Site) -> None:
    messages: list[str | bytes] = [f"{number}" if number % 2 else b"%d" % number for number in range(300)]
    received: list[str | bytes] = []
    with opened(site, "/echo") as websocket:
        reader = threading.Thread(target=lambda: received.extend(websocket.recv(30 * SECOND) for _ in messages))
        reader.start()
        for message in messages:
            websocket.send(message)
        reader.join(60 * SECOND)

    assert received == messages


def test_pings_are_answered_and_fragments_are_put_together(site: Site) -> None:
    with opened(site, "/echo") as websocket:
        assert websocket.ping().wait(10 * SECOND)
        websocket.send(["a", "b", "c"])
        assert websocket.recv(20 * SECOND) == "abc"


def test_a_backend_that_closes_ends_it(site: Site, request: pytest.FixtureRequest) -> None:
    with opened(site, "/close?code=3000&reason=done") as websocket:
        websocket.send("now")
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(30 * SECOND)

    # The original's agent tells of no codes.
    said = (closed.value.rcvd.code, closed.value.rcvd.reason) if closed.value.rcvd else None
    assert said == ((3000, "done") if "ours" in request.node.name else None)


def test_a_user_who_closes_or_goes_away_ends_it_at_the_backend(site: Site, backend: Backend) -> None:
    backend.ends.clear()
    with opened(site, "/echo") as websocket:
        websocket.close(3001, "bye")
    wait_until(lambda: backend.ends, within=20 * SECOND, what="the end at the backend")
    with opened(site, "/echo") as websocket:
        websocket.send("hi")
        websocket.recv(20 * SECOND)
        websocket.close_socket()
    wait_until(lambda: len(backend.ends) > 1, within=20 * SECOND, what="another end at the backend")


@pytest.fixture
def own_site(backend: Backend, folder: Path) -> Iterator[Site]:
    """Our agent with its shim, and a proxy, which the test may end."""
    config = folder / "own.toml"
    config.write_text(CONFIG)
    proxy = Standalone(folder, f"--config={config}")
    site = Site(proxy, backend.url, backend_id="old", folder=folder)
    site.start_agent("--disable-native-websockets", "--shim-path=shim")
    site.wait_until_online()
    yield site
    site.close()
    proxy.stop()


def test_with_our_shim_code_reason_subprotocol_and_refusals_pass(own_site: Site, backend: Backend) -> None:
    with opened(own_site, "/echo", subprotocols=["chat.v1"]) as websocket:
        subprotocol = websocket.subprotocol
        websocket.close(3001, "bye")
    wait_until(lambda: (3001, "bye") in backend.ends, within=20 * SECOND, what="the end at the backend")
    statuses = []
    for path, options in (("/refuse?status=403", {}), ("/echo", {"origin": "https://elsewhere.example"})):
        with pytest.raises(InvalidStatus) as refused, opened(own_site, path, **options):
            pass
        statuses.append(refused.value.response.status_code)

    assert (subprotocol, statuses) == ("chat.v1", [403, 403])


def test_a_proxy_that_stops_says_goodbye(own_site: Site) -> None:
    assert isinstance(own_site.shape, Standalone)
    process = own_site.shape.process
    with opened(own_site, "/echo") as websocket:
        websocket.send("hi")
        websocket.recv(20 * SECOND)
        began = time.monotonic()
        process.send(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(20 * SECOND)
    status = process.wait(20 * SECOND)

    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, "the proxy ends it")
    assert (status, time.monotonic() - began < 8 * SECOND) == (0, True)
    assert "Traceback" not in process.printed()
    assert " /echo 101 2>2B " in process.printed()


def test_an_agent_that_is_killed_ends_it(own_site: Site) -> None:
    with opened(own_site, "/echo") as websocket:
        websocket.send("hi")
        websocket.recv(20 * SECOND)
        own_site.agents[0].kill()
        with pytest.raises(ConnectionClosedError) as closed:
            websocket.recv(60 * SECOND)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011
