"""More requests than a backend can take: those that are let in are served soon, the others are told so at once."""

import asyncio
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.system.backends import Peer
from tests.system.processes import Process, free_port, interpreter
from tests.system.rawhttp import get
from tests.system.shapes import Standalone
from tests.timing import SECOND, wait_until

AT_A_TIME, TAKES = 2, 0.1
CAPACITY = AT_A_TIME / TAKES
"""Requests a second."""

QUEUE = 10
BACKEND = f'[[backends]]\nid = "small"\nend-user = "allUsers"\nbackend-user = "robot"\nmax-queue = {QUEUE}\n'


@dataclass(frozen=True)
class Outcome:
    """How a request ended, and after how many seconds."""

    status: int
    seconds: float
    retry_after: int | None


@dataclass(frozen=True)
class Served:
    """Where users ask, and where the agent says how it is."""

    url: str
    status_url: str

    def count(self, name: str) -> float:
        """One of the agent's measures."""
        text = get(self.status_url, "/metrics").body.decode()
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name}{{"))


@pytest.fixture
def served(peer: Peer, tmp_path: Path) -> Iterator[Served]:
    """A proxy whose one backend takes two requests at a time, and so many a second."""
    (tmp_path / "proxy.toml").write_text(BACKEND)
    proxy = Standalone(tmp_path, f"--config={tmp_path / 'proxy.toml'}")
    status = free_port()
    flags = [f"--proxy={proxy.url}", "--backend=small", f"--host={peer.url}", "--credentials=none", "--workers=1"]
    flags += [f"--concurrency={AT_A_TIME}", f"--status-port={status}"]
    agent = Process("agent", [interpreter("agent"), "-m", "agent", *flags], log=tmp_path / "agent.log")
    wait_until(lambda: get(proxy.url, "/status?code=200").status == 200, within=20 * SECOND, what="an agent online")
    yield Served(proxy.url, f"http://127.0.0.1:{status}")
    agent.kill()
    proxy.stop()


async def ask(url: str) -> Outcome:
    """One request on a connection of its own."""
    began = time.monotonic()
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(f"GET /sleep?ms={TAKES * 1000:.0f} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
    raw = await reader.read()
    writer.close()
    retry_after = re.search(rb"(?i)\r\nretry-after: (\d+)\r\n", raw)
    return Outcome(int(raw.split()[1]), time.monotonic() - began, int(retry_after[1]) if retry_after else None)


async def load(url: str, *, rate: float, seconds: float) -> list[Outcome]:
    """Requests at even distances, whether or not those before them have been answered."""
    asked, began = [], time.monotonic()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0, began + number / rate - time.monotonic()))
        asked.append(asyncio.create_task(ask(url)))
    return await asyncio.gather(*asked)


def percentile(outcomes: list[Outcome], part: float) -> float:
    return sorted(outcome.seconds for outcome in outcomes)[int(part * (len(outcomes) - 1))]


@pytest.mark.timeout(300 * SECOND)
def test_under_five_times_the_load_what_is_let_in_is_fast_the_rest_is_refused_at_once_and_all_is_well_after(
    served: Served,
) -> None:
    normal = asyncio.run(load(served.url, rate=0.5 * CAPACITY, seconds=10))
    outcomes = asyncio.run(load(served.url, rate=5 * CAPACITY, seconds=60))
    let_in = [outcome for outcome in outcomes if outcome.status == 200]
    refused = [outcome for outcome in outcomes if outcome.status != 200]

    assert len(let_in) > 0.8 * 60 * CAPACITY
    assert {outcome.status for outcome in refused} == {503}
    assert all(outcome.retry_after in range(1, 31) for outcome in refused)
    # What waits, what runs, and one more; in twice the time that the backend alone takes for them.
    assert percentile(let_in, 0.99) < 2 * (QUEUE + AT_A_TIME + 1) / CAPACITY
    # Not the maximum: one pause of client or machine, which share its cores, would count as the proxy's.
    print(
        "REFUSED",
        [percentile(refused, q) for q in (0.5, 0.95, 0.99, 0.999, 1)],
        len(refused),
        "LET",
        percentile(let_in, 0.99),
    )
    assert percentile(refused, 0.99) < 0.1 * SECOND

    asked_before = served.count("inverting_proxy_agent_polls_total")
    after = asyncio.run(load(served.url, rate=0.5 * CAPACITY, seconds=10))

    assert {outcome.status for outcome in after} == {200}
    assert percentile(after, 0.99) < 2 * percentile(normal, 0.99)
    assert served.count("inverting_proxy_agent_exchanges_in_flight") == 0
    # No storm: a poll for each request, one that waits for the next, and nothing that had to be said twice.
    assert served.count("inverting_proxy_agent_polls_total") - asked_before < 2 * len(after)
    assert served.count("inverting_proxy_agent_proxy_retries_total") == 0
