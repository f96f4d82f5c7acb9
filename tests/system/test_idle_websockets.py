"""Five hundred websockets on which nothing happens but pings: what they cost, natively and by requests.

These tests take their time, because what they measure is what it costs to wait. The bounds on processor time are some
times what it takes here (0.6 % and 2 % of a core), so that other work on the machine does not matter.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from websockets.sync.client import ClientConnection, connect

from benchmarks.usage import processor_seconds
from benchmarks.websockets import hold
from tests.system.processes import free_port
from tests.system.rawhttp import get
from tests.system.shapes import Site, Standalone
from tests.system.websocket_backend import a_backend
from tests.timing import SECOND

COUNT: Final = 500
RESTS: Final = 45.0
"""Seconds."""
POLL: Final = 20.0
"""Seconds that one of the shim takes (`agent/shim`), below the response timeout."""

CONFIG: Final = """\
[[backends]]
id = "shim"
end-user = "allUsers"
backend-user = "agent@example.com"
shim-path = "shim"
"""


def test_native_websockets_that_wait_cost_next_to_nothing(tmp_path: Path) -> None:
    waited = hold(COUNT, tmp_path, seconds=30, ping=5)

    assert waited.answered == COUNT
    assert max(waited.busy) < 0.05 * waited.waited, waited.lines()
    assert all(now - then < 100 * COUNT for now, then in zip(waited.resident, waited.before, strict=True))


@pytest.fixture
def site(folder: Path) -> Iterator[Site]:
    """An agent that takes no upgrades, so that the proxy polls its shim for each websocket."""
    config = folder / "idle.toml"
    config.write_text(CONFIG)
    proxy = Standalone(folder, f"--config={config}", f"--response-timeout={1.5 * POLL}s")
    with a_backend() as backend:
        site = Site(proxy, backend.url, backend_id="shim", folder=folder)
        yield site
        site.close()
    proxy.stop()


def answered(agent_status: str) -> float:
    """How many requests the agent has answered."""
    lines = get(agent_status, "/metrics").body.decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("inverting_proxy_agent_exchanges_total{"))


def test_websockets_by_requests_that_wait_cost_one_poll_each_in_the_time_that_it_may_take(site: Site) -> None:
    port = free_port()
    agent = site.start_agent("--disable-native-websockets", "--shim-path=shim", f"--status-port={port}", "--workers=1")
    site.wait_until_online()
    assert isinstance(site.shape, Standalone)
    pids = site.shape.process.pid, agent.pid

    def open_one(_: int) -> ClientConnection:
        url = f"{site.url.replace('http', 'ws', 1)}/echo"
        return connect(url, ping_interval=10, ping_timeout=RESTS, compression=None, open_timeout=60 * SECOND)

    def measures() -> list[float]:
        return [answered(f"http://127.0.0.1:{port}"), *map(processor_seconds, pids)]

    with ExitStack() as stack:
        with ThreadPoolExecutor(16) as users:
            websockets = [stack.enter_context(websocket) for websocket in users.map(open_one, range(COUNT))]
        before = measures()
        time.sleep(RESTS)
        polls, *busy = [now - then for now, then in zip(measures(), before, strict=True)]
        for number, websocket in enumerate(websockets):
            websocket.send(str(number))
        answers = [websocket.recv(60 * SECOND) for websocket in websockets]

    assert answers == [str(number) for number in range(COUNT)]
    assert polls == pytest.approx(COUNT * RESTS / POLL, rel=0.2)
    assert max(busy) < 0.1 * RESTS, busy
