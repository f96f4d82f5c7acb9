"""`python -m benchmarks.agent [--rounds N]`: what the agent costs: processor time for a request, and its start.

The processor time (user and system) of the agent's process for each small request that it forwards, with 64 clients
at the stand-alone proxy; beside it, in the same rounds, that of a bare `requests.get` loop with the agent's own
versions, and so a ratio that says something on any machine. Then the time from the start of the process to its first
poll, imports included.
"""

import argparse
import http.client
import os
import socket
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.system.backends import Peer
from tests.system.processes import Process, interpreter
from tests.system.shapes import Site, Standalone

CLIENTS: Final = 64

REQUESTS: Final = 100
"""For each client and round."""

BARE_LOOP: Final = """
import sys, time, requests
url, times = sys.argv[1], int(sys.argv[2])
requests.get(url)
began = time.process_time()
for _ in range(times):
    assert requests.get(url).status_code == 200
print((time.process_time() - began) / times)
"""


def processor_seconds(process: Process) -> float:
    """User and system time that a process has used so far (proc(5), `stat`, fields 14 and 15)."""
    # The second field is the program's name in parentheses, which may hold anything.
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(url: str) -> None:
    """All requests of one client, one after the other. Raises `RuntimeError` unless each is answered."""
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)) as connection:
        for _ in range(REQUESTS):
            connection.request("GET", "/echo")
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{url}: {answer.status}\n{answer.headers}")


def ask_together(url: str) -> float:
    """All clients at a time: requests a second."""
    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(ask, [url] * CLIENTS))
    return CLIENTS * REQUESTS / (time.perf_counter() - began)


def forwarded(site: Site) -> tuple[float, float]:
    """The agent's milliseconds of processor time for a request, and requests a second."""
    agent = site.agents[0]
    before = processor_seconds(agent)
    rate = ask_together(site.url)
    return (processor_seconds(agent) - before) / (CLIENTS * REQUESTS) * 1000, rate


def bare(url: str) -> float:
    """Milliseconds of processor time for one `requests.get`."""
    command = [interpreter("agent"), "-c", BARE_LOOP, f"{url}/echo", "500"]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) * 1000


def compare(rounds: int) -> None:
    """Print the table of processor time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peer, shape = Peer(folder), Standalone(folder)
        site = Site(shape, peer.url, backend_id="bench-agent", folder=folder)
        site.start_agent("--workers=1")
        site.wait_until_online()
        forwarded(site)  # Connections are made, threads started.
        measured = [(*forwarded(site), bare(peer.url)) for _ in range(rounds)]
        site.close()
        shape.stop()
        peer.stop()
    agent, rate, loop = (statistics.median(column) for column in zip(*measured, strict=True))
    print("| | processor time for a request | requests/s |\n|---|---|---|")
    print(f"| agent, {CLIENTS} clients | {agent:.2f} ms | {rate:.0f} |")
    print(f"| bare `requests.get` | {loop:.2f} ms | |")
    ratio = statistics.median(each / beside for each, _, beside in measured)
    print(f"| ratio | {ratio:.2f} | |", flush=True)


def seconds_to_first_poll(folder: Path) -> float:
    """From the start of the agent's process to the first byte of its first poll."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(30)
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        flags = [f"--proxy={url}", "--backend=bench", "--credentials=none"]
        began = time.perf_counter()
        agent = Process(
            "agent",
            [interpreter("agent"), "-m", "agent", *flags],
            log=folder / "agent.log",
            env={"PYTHONDONTWRITEBYTECODE": ""},
        )
        with closing(proxy.accept()[0]) as connection:
            connection.recv(1)
            took = time.perf_counter() - began
        agent.kill()
    return took


def show_start(rounds: int) -> None:
    """Print how long the agent takes to its first poll; the first start, which may compile, does not count."""
    with tempfile.TemporaryDirectory() as name:
        seconds = [seconds_to_first_poll(Path(name)) for _ in range(rounds + 1)][1:]
    print(f"\nFrom start to first poll: {statistics.median(seconds):.2f} s, at most {max(seconds):.2f} s", flush=True)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agent")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    compare(rounds)
    show_start(rounds)


if __name__ == "__main__":
    main()
