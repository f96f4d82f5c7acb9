"""`python -m benchmarks.instances [--rounds N]`: what an instance of each service on App Engine takes.

Its start: how long its imports take (`python -X importtime`), and what it holds then. Its memory under load: the
services by the entrypoints of their yaml files, over Google's Datastore emulator, both processes of gunicorn together;
the smallest instance has 384 MB. And one sweep of very many abandoned exchanges. Backend and users are this process.
"""

import argparse
import statistics
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from benchmarks.pages import table
from benchmarks.usage import reset_peak, resident_kib
from broker.clock import SystemClock
from stores.datastore.conditional import Datastore, put
from stores.datastore.exchange_records import Layout, Record
from stores.datastore.exchange_streams import Side, Stream
from tests.emulator import connect
from tests.factories import an_exchange
from tests.system.processes import ROOT, interpreter
from tests.system.rawhttp import call
from tests.system.shapes import ADMIN, AppEngine, Site

SERVICES: Final = ("proxy_service", "agent_service", "api_service")

PACKAGES: Final = {
    "grpc and protobuf": ("grpc", "google.protobuf", "google._upb", "proto"),
    "Google's API and log-in libraries": (
        "google.api_core",
        "google.auth",
        "google.oauth2",
        "cryptography",
        "requests",
    ),
    "google.cloud.datastore": ("google.cloud.datastore", "google.cloud.datastore_v1"),
    "ndb, and redis, which it imports": ("google.cloud.ndb", "redis", "pymemcache"),
    "App Engine's SDK": ("google.appengine",),
    "Flask": ("flask", "werkzeug", "jinja2", "markupsafe", "click", "itsdangerous", "blinker"),
    "ours": ("wire", "broker", "stores", "edge", *SERVICES),
}

PATIENCE: Final = 300.0
"""Seconds that a user waits: the machine may be busy."""

_MB: Final = 1_000_000
_PARTS: Final = ("0", "1")
"""Of each side of an abandoned exchange."""


@dataclass(frozen=True, slots=True)
class Start:
    """The imports of one service: milliseconds by package, and MiB when they are there."""

    milliseconds: Counter[str]
    mib: float


@dataclass(frozen=True, slots=True)
class Load:
    """So many requests that wait for the backend at the same time; sizes in bytes."""

    count: int
    request: int
    answer: int

    def __str__(self) -> str:
        if not self.request:
            return f"{self.count} small requests"
        return f"{self.count} requests of {self.request // _MB} MB, each with an answer of as many"


LOADS: Final = (Load(80, 0, 0), Load(80, _MB, _MB), Load(40, 5 * _MB, 5 * _MB), Load(8, 31 * _MB, 31 * _MB))


class _Server(ThreadingHTTPServer):
    request_queue_size = 128


class Backend:
    """Lets requests wait until it is told to answer, and tells how many have arrived."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self.may_answer = threading.Event()
        self.answer = b""
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:  # how a site is waited for
                self._send(b"")

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                backend.arrived.release()
                backend.may_answer.wait(PATIENCE)
                self._send(backend.answer)

            def _send(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def wait_for(self, count: int) -> None:
        """Return when so many have arrived. Raises `TimeoutError`."""
        for number in range(count):
            if not self.arrived.acquire(timeout=PATIENCE):
                raise TimeoutError(f"{number} of {count} requests have reached the backend")

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def measure_start(service: str, rounds: int) -> Start:
    """Medians over the rounds. Only the time of the processor is told by imports that nobody disturbs."""
    starts = [_start(service) for _ in range(rounds)]
    names = {name for start in starts for name in start.milliseconds}
    medians = {name: round(statistics.median(start.milliseconds[name] for start in starts)) for name in names}
    return Start(Counter(medians), statistics.median(start.mib for start in starts))


def _start(service: str) -> Start:
    env = {"IDENTITY": "appengine", "GAE_ENV": "standard", "GOOGLE_CLOUD_PROJECT": "bench"}
    env["DATASTORE_EMULATOR_HOST"] = "127.0.0.1:1"  # nothing is asked there
    program = f"import {service}.main; print(open('/proc/self/status').read())"
    argv = [interpreter("appengine"), "-X", "importtime", "-c", program]
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    milliseconds: Counter[str] = Counter()
    for line in done.stderr.splitlines():
        # "import time: self [us] | cumulative | imported package"
        own, _, name = (cell.strip() for cell in line.removeprefix("import time:").split("|"))
        if own.isdigit():
            milliseconds[_package(name)] += int(own) / 1000  # type: ignore[assignment]
    (resident,) = (line.split()[1] for line in done.stdout.splitlines() if line.startswith("VmRSS:"))
    return Start(milliseconds, int(resident) / 1024)


def _package(module: str) -> str:
    for label, names in PACKAGES.items():
        if any(module == name or module.startswith(f"{name}.") for name in names):
            return label
    return "the rest"


@contextmanager
def served(folder: Path, backend: Backend) -> Iterator[AppEngine]:
    """The services with one agent; their patience is longer than usual."""
    shape = AppEngine(folder, RESPONSE_TIMEOUT=f"{PATIENCE:.0f}s", IDLE_TIMEOUT=f"{PATIENCE:.0f}s")
    site = Site(shape, backend.url, backend_id="bench", folder=folder)
    site.start_agent()
    site.wait_until_online()
    yield shape
    site.close()
    shape.stop()


def memory_under(load: Load, shape: AppEngine, backend: Backend) -> list[float]:
    """MiB of the services for users and agents while all requests wait, and then the most while they were carried."""
    pids = shape.pids[:2]
    for pid in pids:
        reset_peak(pid)
    backend.answer = bytes(load.answer)
    backend.may_answer.clear()
    with ThreadPoolExecutor(load.count) as users:
        replies = [
            users.submit(call, shape.url, "POST", "/", body=bytes(load.request), timeout=PATIENCE)
            for _ in range(load.count)
        ]
        backend.wait_for(load.count)
        waiting = [resident_kib(pid)[1] for pid in pids]
        backend.may_answer.set()
        for reply in replies:
            if reply.result().status != 200 or len(reply.result().body) != load.answer:
                raise RuntimeError(f"{load}: {reply.result().status}, {len(reply.result().body)} bytes")
    return [kib / 1024 for kib in (*waiting, *(resident_kib(pid)[0] for pid in pids))]


def abandon(host: str, count: int) -> None:
    """Leave exchanges in the emulator that nobody waits for, each with parts on both sides."""
    database = Datastore(connect(host, namespace=""))
    layout = Layout(database)
    sides: tuple[Side, ...] = ("request", "answer")
    long_ago = SystemClock().now() - timedelta(hours=1)
    for start in range(0, count, 50):
        entities = []
        for number in range(start, start + 50):
            exchange = an_exchange(f"abandoned-{number}", started=long_ago, expires=long_ago)
            stream = Stream(_PARTS, len(_PARTS), ended=True)
            entities.append(layout.entity(Record(exchange, stream, stream)))
            entities += [layout.part(exchange, side, name, b"x") for side in sides for name in _PARTS]
        database.commit_each([put(entity) for entity in entities])


def sweep(shape: AppEngine) -> tuple[str, float]:
    """What one call of cron says, and its seconds."""
    began = time.monotonic()
    admin = ("Authorization", f"Bearer dev:{ADMIN}")
    reply = call(shape.api_url, "POST", "/cron/delete", fields=[admin], timeout=600)
    return reply.body.decode().strip(), time.monotonic() - began


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instances")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--abandoned", type=int, default=10_000)
    options = parser.parse_args()

    starts = {service: measure_start(service, options.rounds) for service in SERVICES}
    rows = [
        [label, *(f"{start.milliseconds[label]:.0f} ms" for start in starts.values())]
        for label in (*PACKAGES, "the rest")
    ]
    rows.append(["all imports", *(f"{start.milliseconds.total():.0f} ms" for start in starts.values())])
    rows.append(["memory then", *(f"{start.mib:.0f} MiB" for start in starts.values())])
    print(table(["", *SERVICES], rows), flush=True)

    with tempfile.TemporaryDirectory() as name:
        backend = Backend()
        with served(Path(name), backend) as shape:
            rows = [[str(load), *(f"{mib:.0f} MiB" for mib in memory_under(load, shape, backend))] for load in LOADS]
            header = ["", "proxy_service, while they wait", "agent_service", "proxy_service, at most", "agent_service"]
            print(f"\n{table(header, rows)}", flush=True)
            abandon(shape.datastore_host, options.abandoned)
            said, seconds = sweep(shape)
            print(f"\n{options.abandoned} abandoned exchanges, swept in {seconds:.0f} s: {said}")
        backend.close()


if __name__ == "__main__":
    main()
