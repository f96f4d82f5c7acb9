"""`python -m benchmarks.streaming [--gib 2] [--rounds 1]`: long bodies through proxy and agent, both ways.

For each way: megabytes a second, processor seconds of each process for a gibibyte, and the most memory that each has
had. Beside it the same bodies through nginx as a proxy of one hop, where there is one. Exits with 1 when a body did not
arrive as it was sent, or when a process of ours needed more than `MEMORY` for it.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.agent import processor_seconds
from tests.system.faucet import PIECE, Checked, pattern_at
from tests.system.processes import Process, free_port, interpreter
from tests.system.rawhttp import Connection, request_bytes
from tests.system.shapes import Site, Standalone

GIB: Final = 1 << 30

MEMORY: Final = 64 << 20
"""The most resident memory that a process of ours may need, in bytes."""

_PATIENCE: Final = 120.0

NGINX: Final = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.error;
events {{ worker_connections 64; }}
http {{
    access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; client_max_body_size 0;
    fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass {backend}; proxy_http_version 1.1; proxy_request_buffering off; proxy_max_temp_file_size 0;
        }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Moved:
    """One body moved: how fast, and processor seconds of each process for a GiB."""

    megabytes_per_second: float
    processor: tuple[float, ...]


def download(url: str, size: int) -> bool:
    """True when the pattern came, whole."""
    return _download(url, f"/pour?n={size}", size)


def download_in_chunks(url: str, size: int) -> bool:
    """The same for an answer that does not say its length."""
    return _download(url, f"/pour?n={size}&chunked", size)


def _download(url: str, target: str, size: int) -> bool:
    # In HTTP/1.0, so that no chunks have to be read here.
    with Connection(url, timeout=_PATIENCE) as client:
        client.send(f"GET {target} HTTP/1.0\r\nHost: {client.host}\r\n\r\n".encode())
        head = bytearray()
        while b"\r\n\r\n" not in head:
            head += client.receive()
        checked = Checked()
        checked.feed(bytes(head).partition(b"\r\n\r\n")[2])
        while checked.length < size and (data := client.receive(PIECE)):
            checked.feed(data)
    return checked.is_right and checked.length == size


def upload(url: str, size: int) -> bool:
    """True when the backend got the pattern, whole."""
    with Connection(url, timeout=_PATIENCE) as client:
        client.send(request_bytes("POST", "/drain", host=client.host, fields=[("Content-Length", str(size))]))

        def send() -> None:
            for start in range(0, size, PIECE):
                client.send(pattern_at(start, min(PIECE, size - start)))

        sending = threading.Thread(target=send)
        sending.start()
        reply = client.read_reply("POST")
        sending.join()
    if reply.status != 200:
        raise RuntimeError(f"the upload was answered with {reply.status}: {reply.body!r}")
    return bool(json.loads(reply.body) == {"length": size, "is_right": True})


WAYS: Final = {"down": download, "down, in chunks": download_in_chunks, "up": upload}


def move(way: str, url: str, size: int, processes: Sequence[Process]) -> Moved:
    """Move one body. Raises `RuntimeError` when it did not arrive as it was sent."""
    before = [processor_seconds(process) for process in processes]
    began = time.perf_counter()
    if not WAYS[way](url, size):
        raise RuntimeError(f"a body of {size} bytes {way} did not arrive as it was sent")
    took = time.perf_counter() - began
    spent = (processor_seconds(process) - then for process, then in zip(processes, before, strict=True))
    return Moved(size / took / 1e6, tuple(seconds * GIB / size for seconds in spent))


@contextmanager
def ours(folder: Path, backend_url: str) -> Iterator[tuple[str, list[Process]]]:
    """The stand-alone proxy and an agent: its URL, and the two processes."""
    shape = Standalone(folder, f"--max-body-bytes={1 << 40}")
    site = Site(shape, backend_url, backend_id="streaming", folder=folder)
    agent = site.start_agent()
    site.wait_until_online()
    yield site.url, [shape.process, agent]
    site.close()
    shape.stop()


@contextmanager
def nginx(folder: Path, backend_url: str) -> Iterator[tuple[str, list[Process]]]:
    """nginx as a proxy of one hop: its URL, and its one process that works."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(
        NGINX.format(folder=folder, port=port, backend=backend_url).replace(
            "daemon off;", "daemon off; master_process off;"
        )
    )
    process = Process("nginx", [program, "-c", str(configuration), "-p", str(folder)], log=folder / "nginx.log")
    time.sleep(0.5)  # noqa: TID251  # it does not say when it listens
    yield f"http://127.0.0.1:{port}", [process]
    process.stop()


def measure(size: int, rounds: int) -> int:
    """Print the table; the exit status."""
    is_lean = True
    print("| | way | MB/s | processor seconds for a GiB | most memory |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        faucet = Process("faucet", [interpreter("peers"), "-m", "tests.system.faucet"], log=folder / "faucet.log")
        backend_url = faucet.wait_for_url()
        systems = {"proxy, agent": ours} | ({"nginx": nginx} if Path("/usr/sbin/nginx").exists() else {})
        for label, system in systems.items():
            with system(folder, backend_url) as (url, processes):
                for way in WAYS:
                    moved = [move(way, url, size, processes) for _ in range(rounds)]
                    rate = statistics.median(each.megabytes_per_second for each in moved)
                    columns = zip(*(each.processor for each in moved), strict=True)
                    spent = [statistics.median(column) for column in columns]
                    memory = [process.peak_memory for process in processes]
                    is_lean = is_lean and (label == "nginx" or max(memory) <= MEMORY)
                    print(
                        f"| {label} | {way} | {rate:.0f} | {' + '.join(f'{each:.2f}' for each in spent)} "
                        f"| {', '.join(f'{each / 2**20:.0f} MiB' for each in memory)} |",
                        flush=True,
                    )
        faucet.stop()
    return 0 if is_lean else 1


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming")
    parser.add_argument("--gib", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    return measure(int(arguments.gib * GIB), arguments.rounds)


if __name__ == "__main__":
    sys.exit(main())
