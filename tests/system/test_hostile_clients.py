"""Clients that are slow, too many, or too eager: the others do not notice, and memory stays within its bounds."""

import select
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.usage import reset_peak
from tests.system.backend_by_hand import receive_until
from tests.system.backends import Peer
from tests.system.conftest import Serve
from tests.system.faucet import PIECE, Checked, pattern_at
from tests.system.processes import Process, interpreter
from tests.system.rawhttp import Connection, get
from tests.system.shapes import Site, Standalone
from tests.system.slow_clients import Asked, SlowClients, at_a_rate, hundreds, slowest, timed
from tests.timing import MS, SECOND, wait_until

HEAD_TIME = 4
IDLE_TIME = 5
RATE = 1000

SETTINGS = f"""
[timeouts]
head = "{HEAD_TIME}s"
write = "{IDLE_TIME}s"
linger = "1s"

[limits]
body-rate = {RATE}
read-rate = {RATE}
connections = 700
exchanges = {{exchanges}}
"""

EXCHANGES = 300

EVERY = 2
"""Seconds between two bytes of a slow client."""

SEEN = 2 * EVERY + 3 * SECOND
"""So soon after it was cut off it knows: at first it reads what it is told, and the end a byte later."""

PER_SECOND = 50
"""Requests of clients that are not slow."""

ROUNDS = 3
"""Of slow clients, each until they are cut off."""

MIB = 1 << 20

BODY = 32 * MIB


@pytest.fixture(scope="module")
def shape_name() -> str:
    """On App Engine all this is the platform's business."""
    return "standalone"


def a_shape(folder: Path, *, exchanges: int) -> Iterator[Standalone]:
    settings = folder / f"hostile-{exchanges}.toml"
    settings.write_text(SETTINGS.format(exchanges=exchanges))
    standalone = Standalone(folder, f"--config={settings}", f"--idle-timeout={IDLE_TIME}s", f"--max-body-bytes={BODY}")
    yield standalone
    standalone.stop()


@pytest.fixture(scope="module")
def shape(folder: Path) -> Iterator[Standalone]:
    yield from a_shape(folder, exchanges=EXCHANGES)


@pytest.fixture(scope="module")
def faucet(folder: Path) -> Iterator[Process]:
    faucet = Process("faucet", [interpreter("peers"), "-m", "tests.system.faucet"], log=folder / "faucet.log")
    yield faucet
    faucet.stop()


@pytest.fixture(scope="module")
def site(serve: Serve, faucet: Process) -> Site:
    return serve(faucet.wait_for_url())


def mirror(url: str, size: int) -> bool:
    """Send a body and read it back at the same time; True when it came back as it was."""
    with Connection(url) as client:
        client.send(f"POST /mirror HTTP/1.1\r\nHost: h\r\nContent-Length: {size}\r\n\r\n".encode())

        def send() -> None:
            for start in range(0, size, PIECE):
                client.send(pattern_at(start, min(PIECE, size - start)))

        sending = threading.Thread(target=send)
        sending.start()
        head = receive_until(client, b"\r\n\r\n")
        checked = Checked()
        checked.feed(head.partition(b"\r\n\r\n")[2])
        while checked.length < size and (data := client.receive(PIECE)):
            checked.feed(data)
        sending.join()
    return checked.is_right and checked.length == size


def test_memory_for_many_bodies_both_ways_has_a_bound_and_is_given_back(site: Site, shape: Standalone) -> None:
    proxy, agent = shape.process, site.agents[0]
    before = proxy.memory, agent.memory
    for clients in (8, 16, 32):
        with ThreadPoolExecutor(clients) as pool:
            came_back = list(pool.map(lambda _: mirror(site.url, BODY), range(clients)))

        assert came_back == [True] * clients
        # The process, two windows for each body, and what lies in the connections on its way (docs/standalone.md).
        assert proxy.peak_memory < 45 * MIB + clients * (2 * MIB + 4 * 700 * 1024)
        assert agent.peak_memory < 45 * MIB + clients * 2 * MIB

    def is_given_back() -> bool:
        return proxy.memory < 1.2 * before[0] and agent.memory < 1.2 * before[1]

    wait_until(is_given_back, within=60 * SECOND, what="memory given back")


@pytest.fixture(scope="module")
def elsewhere(folder: Path, faucet: Process) -> Iterator[Site]:
    """The same again, where nobody is slow: what else the machine does slows it down as well."""
    folder = folder / "elsewhere"
    folder.mkdir()
    for shape in a_shape(folder, exchanges=EXCHANGES):
        site = Site(shape, faucet.wait_for_url(), backend_id="elsewhere", folder=folder)
        site.start_agent()
        site.wait_until_online()
        yield site
        site.close()


def ask_both(sites: Sequence[Site], goes_on: Callable[[float], bool]) -> list[list[Asked]]:
    """What users of each get, in the same seconds."""

    def ask(site: Site) -> list[Asked]:
        return at_a_rate(site.url, "/pour?n=10", per_second=PER_SECOND, goes_on=goes_on)

    with ThreadPoolExecutor(len(sites)) as pool:
        return list(pool.map(ask, sites))


def test_slow_clients_are_cut_off_and_nobody_else_notices(site: Site, shape: Standalone, elsewhere: Site) -> None:
    descriptors = Path(f"/proc/{shape.process.pid}/fd")
    open_before, memory_before = len(list(descriptors.iterdir())), shape.process.memory
    reset_peak(shape.process.pid)
    slower: list[float] = []
    for _ in range(ROUNDS):
        with SlowClients(site.url, every=EVERY, head=300, body=60, reader=60) as slow:
            # At first all buffers on the way to those who read fill: that is work, and not yet slowness.
            wait_until(lambda: are_buffers_full(site.url), within=20 * SECOND, what="full buffers")
            beside, away = ask_both((site, elsewhere), lambda passed: bool(slow.left) and passed < 30)  # noqa: B023
            longest, left = slow.longest(), slow.left
        slower += [
            slowest(here) / slowest(there) for here, there in zip(hundreds(beside), hundreds(away), strict=False)
        ]
        print("RATIO", slower, slowest(beside), slowest(away))

        assert {reply.status for _, reply in beside} == {200}
        assert left == 0
        assert longest["head"] < HEAD_TIME + SEEN
        assert longest["body"] < 2 * IDLE_TIME + SEEN
        assert longest["reader"] < 3 * IDLE_TIME + SEEN
        assert set(slow.statuses()) == {("head", b"408"), ("body", b"408")}

    wait_until(lambda: len(list(descriptors.iterdir())) < open_before + 100, within=5, what="descriptors given back")
    # Each compares the same two seconds: what else the machine does slows both, and what comes now and then but a few.
    assert len(slower) >= 3 * ROUNDS
    assert statistics.median(slower) < 2, slower
    assert shape.process.peak_memory - memory_before < 60 * 2 * MIB + 40 * MIB


def are_buffers_full(url: str) -> bool:
    return max(timed(url, "/pour?n=10")[0] for _ in range(10)) < 100 * MS


def test_a_client_that_reads_slowly_but_fast_enough_gets_all(site: Site) -> None:
    size = 1_000_000
    with Connection(site.url) as client:
        client.send(f"GET /pour?n={size} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        received = 0
        while data := client.receive(60_000):
            received += len(data)
            time.sleep(0.4)

    assert received > size


def what_came(connection: Connection) -> bytes:
    """What has come on it already."""
    is_readable = select.select([connection._socket], [], [], 0.002)[0]
    return connection.receive() if is_readable else b""


def test_more_connections_than_there_may_be_are_told_so_and_the_others_go_on(site: Site) -> None:
    with Connection(site.url) as kept:
        kept.send(b"GET /pour?n=5 HTTP/1.1\r\nHost: h\r\n\r\n")
        assert kept.read_reply().status == 200
        idle = [Connection(site.url) for _ in range(760)]
        refused = [connection for connection in idle if b" 503 " in what_came(connection)]
        kept.send(b"GET /pour?n=5 HTTP/1.1\r\nHost: h\r\n\r\n")
        still = kept.read_reply()
        for connection in idle:
            connection.close()

    assert still.status == 200
    assert 20 < len(refused) < 120
    wait_until(lambda: get(site.url, "/pour?n=5").status == 200, within=10, what="room for connections again")


def test_overload_is_refused_at_once_and_is_over_when_it_is_over(folder: Path, peer: Peer) -> None:
    working, took = 10, 0.5
    capacity = working / took
    shapes = a_shape(folder, exchanges=2 * working)
    shape = next(shapes)
    site = Site(shape, peer.url, backend_id="overload", folder=folder)
    site.start_agent(f"--concurrency={working}")
    site.wait_until_online()
    target = f"/sleep?ms={took * 1000:.0f}"

    during = at_a_rate(site.url, target, per_second=5 * capacity, goes_on=lambda passed: passed < 5)
    time.sleep(2 * took)
    after = at_a_rate(site.url, target, per_second=0.5 * capacity, goes_on=lambda passed: passed < 3)
    site.close()
    next(shapes, None)

    taken = [each for each in during if each[1].status == 200]
    refused = [each for each in during if each[1].status != 200]
    assert {(reply.status, reply.reason) for _, reply in refused} == {(503, "overloaded")}
    assert all(reply.get("Retry-After") for _, reply in refused)
    assert len(taken) > 0.7 * capacity * 5
    # What waits and what runs, in twice the time that the backend alone takes for them.
    assert slowest(taken) < 2 * 2 * working / capacity
    assert {reply.status for _, reply in after} == {200}
    assert slowest(after) < 2 * took
