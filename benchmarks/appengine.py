"""`python -m benchmarks.appengine`: the three services over the vendor's emulator, polling alone and with hints.

    python -m benchmarks.appengine                     everything, some minutes
    python -m benchmarks.appengine --quick             the same in one, for a look
    python -m benchmarks.appengine --sections loads --loads get --clients 16 --rounds 9

Two sets of services, with an agent each, serve the same nginx in turn; wrk asks. Calls to Datastore are counted at a
relay before further sets, because counting costs time.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from benchmarks import nginx, services_tables
from benchmarks.calls import Calls, ask_times, calls_during
from benchmarks.idle import rest
from benchmarks.loads import APPENGINE_LOADS, GET, LONG, SLOW, Load, require_wrk
from benchmarks.measured import BEGIN, CALLS_OF_MINUTE, CALLS_OF_REQUEST, HINTS, POLLING
from benchmarks.programs import Missing
from benchmarks.report import Machine, Report
from benchmarks.rounds import Plan, measure
from benchmarks.services import Reach, directly, serving
from benchmarks.services_tables import Counted
from benchmarks.systems import System
from scripts.emulator import EmulatorMissing, find_starter
from tests.datastore_relay import DatastoreRelay
from tests.system.processes import Process

SYSTEMS: Final = (POLLING, HINTS)

ALONE: Final = frozenset({LONG, SLOW})
"""What one client asks for at a time."""

ALONE_SECONDS: Final = 5
"""For each run of these at least, in which `SLOW` is answered twice."""

COUNTED: Final = 40
"""Requests whose calls are counted, all clients' together; of those that one client asks for, a tenth."""

QUICK: Final = ["--rounds=1", "--seconds=2", "--rest=5", "--warm-up=320"]


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the exit status."""
    options = _parser().parse_args(arguments)
    if options.quick:
        options = _parser().parse_args([*QUICK, *arguments])
    report = Report(Machine.here(), begin=BEGIN, plot=None)
    try:
        find_starter()
        require_wrk()
        for name in options.sections:
            SECTIONS[name](options, report)
    except (Missing, EmulatorMissing) as exc:
        print(exc, file=sys.stderr)
        return 2
    print(report.markdown())
    if options.keep:
        report.keep()
    return 0


def measure_loads(options: argparse.Namespace, report: Report) -> None:
    """Every load on both, one after the other."""
    with _running() as (backend, systems):
        _tell("warming up")
        for system in systems:
            ask_times(system, GET, clients=16, times=options.warm_up // 16)
        for loads, clients in _runs(options):
            seconds = max(options.seconds, ALONE_SECONDS) if ALONE & set(loads) else options.seconds
            plan = Plan(loads, clients, seconds, options.rounds)
            samples = measure(plan, backend, systems, tell=_tell)
            for load in loads:
                report.add(load.title, services_tables.loads_table(load, samples, run=report.machine.run))


def count_calls(options: argparse.Namespace, report: Report) -> None:
    """Calls to Datastore for each request, and in a minute without any."""
    relays: dict[str, DatastoreRelay] = {}
    with ExitStack() as stack:

        def relay(name: str, emulator: str) -> str:
            relays[name] = stack.enter_context(closing(DatastoreRelay(emulator)))
            return relays[name].host

        _, systems = stack.enter_context(_running(relay))
        counted = [
            Counted(load, clients, system.name, _count(system, relays[system.name], load, clients))
            for loads, numbers in _runs(options)
            for load in loads
            for clients in numbers
            for system in systems
        ]
        _tell(f"{options.rest} s of rest")
        for each in relays.values():
            each.calls.clear()
        idle = rest(systems, seconds=options.rest)
        calls = {name: Calls.of(each.calls, per=options.rest / 60) for name, each in relays.items()}
    run = report.machine.run
    report.add(CALLS_OF_REQUEST, services_tables.calls_table(counted, run=run))
    report.add(CALLS_OF_MINUTE, services_tables.idle_table(idle, calls, run=run))
    report.add("Processes in it", services_tables.rest_table(idle, run=run))


def _count(system: System, relay: DatastoreRelay, load: Load, clients: int) -> Calls:
    _tell(f"calls: {load.title}, {clients} clients, {system.name}")
    times = max(1, COUNTED // (10 if load in ALONE else clients))
    calls = calls_during(lambda: ask_times(system, load, clients=clients, times=times), relay)
    return Calls.of(calls, per=times * clients)


SECTIONS: Final[dict[str, Callable[[argparse.Namespace, Report], None]]] = {
    "loads": measure_loads,
    "calls": count_calls,
}


def _runs(options: argparse.Namespace) -> list[tuple[list[Load], Sequence[int]]]:
    """Loads with their numbers of clients."""
    loads = [APPENGINE_LOADS[name] for name in options.loads]
    together = [load for load in loads if load not in ALONE]
    return [(together, options.clients), ([load for load in loads if load in ALONE], (1,))]


@contextmanager
def _running(reach: Reach = directly) -> Iterator[tuple[Process, list[System]]]:
    """The backend, and all sets before it."""
    _tell("start")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        backend, port = nginx.start_backend(folder)
        stack.callback(backend.kill)
        sets = [serving(each, folder / each, backend=port, reach=reach) for each in SYSTEMS]
        yield backend, [stack.enter_context(each) for each in sets]


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.appengine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sections", nargs="+", choices=list(SECTIONS), default=list(SECTIONS), help="(default: all)")
    parser.add_argument("--loads", nargs="+", choices=list(APPENGINE_LOADS), default=list(APPENGINE_LOADS))
    parser.add_argument("--clients", nargs="+", type=int, metavar="N", default=[1, 16], help="of small requests")
    for name, default, text in (
        ("--seconds", 3, "of each run"),
        ("--rounds", 5, "in which each run comes once"),
        ("--rest", 60, "seconds of rest"),
        (
            "--warm-up",
            2000,
            "requests to each set before anything is measured: the emulator's code is compiled by then",
        ),
    ):
        parser.add_argument(name, type=int, metavar="N", default=default, help=f"{text} (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help=f"{' '.join(QUICK)}, unless they are given")
    parser.add_argument("--keep", action="store_true", help="put the results into benchmarks/README.md")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
