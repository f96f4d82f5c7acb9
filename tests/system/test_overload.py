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
from tests.system.processes import Process, interpreter
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


@pytest.fixture
def url(peer: Peer, tmp_path: Path) -> Iterator[str]:
    """A proxy whose one backend takes two requests at a time, and so many a second."""
    (tmp_path / "proxy.toml").write_text(BACKEND)
    proxy = Standalone(tmp_path, f"--config={tmp_path / 'proxy.toml'}")
    flags = [f"--proxy={proxy.url}", "--backend=small", f"--host={peer.url}", "--credentials=none", "--workers=1"]
    argv = [interpreter("agent"), "-m", "agent", *flags, f"--concurrency={AT_A_TIME}"]
    agent = Process("agent", argv, log=tmp_path / "agent.log")
    wait_until(lambda: get(proxy.url, "/status?code=200").status == 200, within=20 * SECOND, what="an agent online")
    yield proxy.url
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
    asked = []
    for _ in range(int(rate * seconds)):
        asked.append(asyncio.create_task(ask(url)))
        await asyncio.sleep(1 / rate)
    return await asyncio.gather(*asked)


def percentile(outcomes: list[Outcome], part: float) -> float:
    return sorted(outcome.seconds for outcome in outcomes)[int(part * (len(outcomes) - 1))]


def test_under_five_times_the_load_what_is_let_in_is_fast_the_rest_is_refused_at_once_and_all_is_well_after(
    url: str,
) -> None:
    outcomes = asyncio.run(load(url, rate=5 * CAPACITY, seconds=4))
    let_in = [outcome for outcome in outcomes if outcome.status == 200]
    refused = [outcome for outcome in outcomes if outcome.status != 200]

    assert len(let_in) > 0.5 * 4 * CAPACITY
    assert {outcome.status for outcome in refused} == {503}
    assert all(outcome.retry_after in range(1, 31) for outcome in refused)
    assert percentile(let_in, 0.99) < (QUEUE + AT_A_TIME + 1) / CAPACITY + SECOND
    assert percentile(refused, 0.5) < 0.1 * SECOND
    assert percentile(refused, 0.99) < SECOND

    after = asyncio.run(load(url, rate=0.5 * CAPACITY, seconds=2))

    assert {outcome.status for outcome in after} == {200}
    assert percentile(after, 0.99) < TAKES + SECOND
