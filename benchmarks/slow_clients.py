"""`python -m benchmarks.slow_clients`: a thousand clients that are as slow as they can, and some that are not.

A byte of a head every five seconds, a byte of a body, a byte read of an answer: when is each of them cut off, what do
others notice meanwhile, and what does it cost the stand-alone proxy? With the settings of an operator who has set none.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Final

from tests.system.processes import Process, interpreter
from tests.system.shapes import Site, Standalone
from tests.system.slow_clients import SlowClients, at_a_rate, slowest, timed
from tests.timing import wait_until

EVERY: Final = 5.0
"""Seconds between two bytes."""

PER_SECOND: Final = 20
"""Requests of the others."""

CALM: Final = 10.0
"""Seconds without slow clients."""

LONGEST: Final = 120.0


def show(heads: int, bodies: int, readers: int) -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        faucet = Process("faucet", [interpreter("peers"), "-m", "tests.system.faucet"], log=folder / "faucet.log")
        shape = Standalone(folder, "--idle-timeout=30s", "--response-timeout=30s")
        site = Site(shape, faucet.wait_for_url(), backend_id="slow", folder=folder)
        site.start_agent(f"--concurrency={bodies + readers + 100}")
        site.wait_until_online()
        before = at_a_rate(site.url, "/pour?n=10", per_second=PER_SECOND, goes_on=lambda passed: passed < CALM)
        memory, descriptors = shape.process.peak_memory, count_descriptors(shape.process)
        print(f"alone: slowest 1% {slowest(before) * 1000:.0f} ms; {memory >> 20} MiB, {descriptors} descriptors")
        with SlowClients(site.url, every=EVERY, head=heads, body=bodies, reader=readers) as slow:
            # At first all buffers on the way to those who read fill: that is work, and not yet slowness.
            wait_until(lambda: timed(site.url, "/pour?n=10")[0] < slowest(before), within=LONGEST, what="full buffers")
            beside = at_a_rate(
                site.url,
                "/pour?n=10",
                per_second=PER_SECOND,
                goes_on=lambda passed: bool(slow.left) and passed < LONGEST,
            )
            print(
                f"beside {heads} slow heads, {bodies} slow bodies, {readers} slow readers: slowest 1% "
                f"{slowest(beside) * 1000:.0f} ms, errors {sum(reply.status != 200 for _, reply in beside)}"
            )
            ends = ", ".join(f"{kind} {seconds:.0f} s" for kind, seconds in slow.longest().items())
            print(f"the last to be cut off: {ends}; left {slow.left}; told {dict(slow.statuses())}")
        wait_until(lambda: count_descriptors(shape.process) < 400, within=30, what="descriptors given back")
        print(f"at most {shape.process.peak_memory >> 20} MiB; {count_descriptors(shape.process)} descriptors left")
        site.close()
        shape.stop()
        faucet.stop()


def count_descriptors(process: Process) -> int:
    """How many files a process has open."""
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slow_clients")
    parser.add_argument("--heads", type=int, default=1000)
    parser.add_argument("--bodies", type=int, default=200)
    parser.add_argument("--readers", type=int, default=200)
    arguments = parser.parse_args()
    show(arguments.heads, arguments.bodies, arguments.readers)


if __name__ == "__main__":
    main()
