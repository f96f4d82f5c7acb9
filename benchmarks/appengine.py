"""`python -m benchmarks.appengine [--rounds N]`: small requests through the services, one client and sixteen.

Over Google's Datastore emulator. The backend's own time, asked directly in the same round, stands beside. Datastore's
calls are counted in rounds of their own, because counting costs time.
"""

import argparse
import http.client
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from scripts.emulator import DatastoreEmulator
from tests.datastore_relay import DatastoreRelay
from tests.system.backends import Peer
from tests.system.shapes import AppEngine, Site

REQUESTS: Final = 100
"""For each client and round."""

CLIENTS: Final = (1, 16)


def ask(url: str) -> list[float]:
    """The seconds that each request took, one after the other on one connection."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    seconds = []
    with closing(connection):
        for _ in range(REQUESTS):
            began = time.perf_counter()
            connection.request("GET", "/echo")
            answer = connection.getresponse()
            answer.read()
            seconds.append(time.perf_counter() - began)
            if answer.status != 200:
                raise RuntimeError(f"{url}: {answer.status}\n{answer.headers}")
    return seconds


def ask_together(url: str, clients: int) -> tuple[float, float, float]:
    """Median and 90th percentile in milliseconds, and requests a second."""
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        seconds = [each for client in pool.map(ask, [url] * clients) for each in client]
    rate = len(seconds) / (time.perf_counter() - began)
    return statistics.median(seconds) * 1000, statistics.quantiles(seconds, n=10)[-1] * 1000, rate


@contextmanager
def served(shape: AppEngine, peer: Peer, folder: Path) -> Iterator[str]:
    """The users' URL of the services with one agent."""
    site = Site(shape, peer.url, backend_id=f"bench-{shape.name}", folder=folder)
    site.start_agent()
    site.wait_until_online()
    yield site.url
    site.close()
    shape.stop()


def show(name: str, clients: int, rounds: list[tuple[float, float, float]]) -> None:
    """One row of the table: medians over the rounds."""
    median, late, rate = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"| {name} | {clients} | {median:.1f} ms | {late:.1f} ms | {rate:.0f} |", flush=True)


def compare(rounds: int) -> None:
    """Measure the backend alone and the services before it, in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peer = Peer(folder)
        with served(AppEngine(folder), peer, folder) as appengine:
            urls = {"backend alone": peer.url, "App Engine's shape": appengine}
            print("| | clients | median | 90 % | requests/s |\n|---|---|---|---|---|")
            for clients in CLIENTS:
                measured: dict[str, list[tuple[float, float, float]]] = {name: [] for name in urls}
                for _ in range(rounds):
                    for name, url in urls.items():
                        measured[name].append(ask_together(url, clients))
                for name, results in measured.items():
                    show(name, clients, results)
        peer.stop()


def count_calls(rounds: int) -> None:
    """Datastore calls for each small request of one client, everything included: looks that find nothing, too."""
    with tempfile.TemporaryDirectory() as name, DatastoreEmulator() as emulator:
        folder = Path(name)
        peer = Peer(folder)
        relay = DatastoreRelay(emulator.host)
        with served(AppEngine(folder, DATASTORE_EMULATOR_HOST=relay.host), peer, folder) as url:
            totals = []
            for _ in range(rounds):
                relay.calls.clear()
                ask(url)
                totals.append(len(relay.calls) / REQUESTS)
            by_method = ", ".join(f"{method} {count / REQUESTS:.1f}" for method, count in relay.methods().most_common())
        print(f"\nDatastore calls for each request, one client: {statistics.median(totals):.1f} ({by_method})")
        relay.close()
        peer.stop()


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.appengine")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    compare(rounds)
    count_calls(rounds)


if __name__ == "__main__":
    main()
