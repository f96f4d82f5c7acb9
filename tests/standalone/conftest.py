"""One proxy for the tests of a module, and others where a test needs its own flags or its end."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.standalone.by_hand import Agent
from tests.system.processes import Process, interpreter
from tests.system.rawhttp import Connection, request_bytes

RESPONSE_TIMEOUT = 3
IDLE_TIMEOUT = 3
MAX_BODY = 2_000_000

Start = Callable[..., tuple[Process, str]]


def start_proxy(folder: Path, *flags: str) -> tuple[Process, str]:
    """A proxy that listens, and its URL."""
    port = [] if any(flag.startswith("--config=") for flag in flags) else ["--port=0"]
    argv = [interpreter("standalone"), "-m", "standalone", "--open", *port, *flags]
    process = Process("standalone", argv, log=folder / "standalone.log")
    return process, process.wait_for_url()


def introduce(agent: Agent) -> None:
    """Make its backend known by a poll that is given up when the proxy has seen it."""
    with Connection(agent.url) as polling, Connection(agent.url) as asking:
        # Of two connections that the proxy knows already, it reads first the one that was written first.
        for connection, path in ((polling, "request"), (asking, "request"), (polling, "pending"), (asking, "request")):
            fields = [*agent.fields, ("X-Inverting-Proxy-Request-ID", "none")]
            connection.send(request_bytes("GET", f"/agent/{path}", host=connection.host, fields=fields))
            if path == "request":
                assert connection.read_reply().status == 404


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a proxy with short times."""
    process, url = start_proxy(
        tmp_path_factory.mktemp("proxy"),
        f"--response-timeout={RESPONSE_TIMEOUT}s",
        f"--idle-timeout={IDLE_TIMEOUT}s",
        f"--max-body-bytes={MAX_BODY}",
    )
    yield url
    status, printed = process.stop(), process.printed()
    assert (status, "Traceback" in printed) == (0, False), printed


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts proxies of a test's own."""
    started: list[Process] = []

    def start_one(*flags: str) -> tuple[Process, str]:
        process, url = start_proxy(tmp_path, *flags)
        started.append(process)
        return process, url

    yield start_one
    for process in started:
        process.stop()


@pytest.fixture
def agent(proxy: str, request: pytest.FixtureRequest) -> Agent:
    """An agent of a backend of the test's own, known to the proxy, and the one polled last."""
    agent = Agent(proxy, backend_id=request.node.name[:80].translate(_NAME))
    introduce(agent)
    return agent


_NAME = {code: "-" for code in range(128) if not chr(code).isalnum()}
