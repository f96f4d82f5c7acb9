"""`python -m benchmarks`: our proxy and agent beside nginx, `ssh -R` and whatever else is named, in one run.

    python -m benchmarks                                        everything, some minutes
    python -m benchmarks --sections loads --loads get --clients 64 --systems ours
    python -m benchmarks --system 'piko = piko server --proxy.bind-addr 127.0.0.1:{port}
        --upstream.bind-addr 127.0.0.1:{control} ;; piko agent http bench {backend}
        --connect.url http://127.0.0.1:{link}' --field 'x-piko-endpoint: bench'

Placeholders of a template: {port}, where users connect; {control}, where the server's side listens for the agent, if
that is not {port}; {link}, where the agent finds it, be it near or far; {backend}; {folder}, for files. A brace itself
is written twice. The agent's command may be left out.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks import tables
from benchmarks.idle import hold_polls, rest
from benchmarks.loads import GET, LOADS, require_wrk
from benchmarks.programs import Missing
from benchmarks.report import Machine, Report, panels_of
from benchmarks.rounds import Plan, measure
from benchmarks.systems import Choice, choose, processors, running

ROUND_TRIP: Final = 0.020
"""Seconds on the link of agents that are far."""

FAR_CLIENTS: Final = (1, 64)


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        require_wrk()
        choice = choose(options.systems, templates=options.system, workers=options.workers)
        report = Report(Machine.here())
        for name in options.sections:
            SECTIONS[name](options, choice, report)
    except (Missing, ValueError) as exc:
        print(exc, file=sys.stderr)
        return 2
    for reason in dict.fromkeys(choice.left_out):
        report.add_note(f"Left out: {reason}")
    print(report.markdown())
    if options.keep:
        report.keep()
    return 0


def measure_loads(options: argparse.Namespace, choice: Choice, report: Report) -> None:
    """Every load on every system, at every number of clients."""
    plan = _plan(options, loads=options.loads, clients=options.clients)
    with (
        tempfile.TemporaryDirectory() as folder,
        running(choice, Path(folder), fields=plan.fields) as (backend, systems),
    ):
        samples = measure(plan, backend, systems, tell=_tell)
    for load in plan.loads:
        report.add(load.title, tables.loads_table(load, samples, run=report.machine.run))
    report.panels += panels_of(plan.loads, samples)


def measure_far(options: argparse.Namespace, choice: Choice, report: Report) -> None:
    """Small requests while the agent's side is a slow link away."""
    plan = _plan(options, loads=["get"], clients=FAR_CLIENTS)
    with (
        tempfile.TemporaryDirectory() as folder,
        running(choice, Path(folder), fields=plan.fields, round_trip=ROUND_TRIP) as (backend, systems),
    ):
        samples = measure(plan, backend, systems, tell=_tell)
    title = f"{GET.title}, {ROUND_TRIP * 1000:.0f} ms of round trip between the agent's side and the server's"
    report.add(title, tables.delay_table(samples, run=report.machine.run))


def measure_rest(options: argparse.Namespace, choice: Choice, report: Report) -> None:
    """Nothing to do, for a while."""
    _tell(f"{options.rest} s of rest")
    with (
        tempfile.TemporaryDirectory() as folder,
        running(choice, Path(folder), fields=tuple(options.field), round_trip=0) as (_, systems),
    ):
        report.add("Idle", tables.idle_table(rest(systems, seconds=options.rest), run=report.machine.run))


def measure_waiting(options: argparse.Namespace, choice: Choice, report: Report) -> None:
    """Thousands of agents that wait for requests at one proxy of ours."""
    _tell(f"{options.polls} long polls")
    with tempfile.TemporaryDirectory() as folder:
        waiting = hold_polls(options.polls, Path(folder))
    report.add("Memory of waiting", tables.waiting_table(waiting, run=report.machine.run))


SECTIONS: Final[dict[str, Callable[[argparse.Namespace, Choice, Report], None]]] = {
    "loads": measure_loads,
    "far": measure_far,
    "rest": measure_rest,
    "waiting": measure_waiting,
}


def _plan(options: argparse.Namespace, *, loads: Sequence[str], clients: Sequence[int]) -> Plan:
    return Plan([LOADS[name] for name in loads], clients, options.seconds, options.rounds, tuple(options.field))


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    def several(name: str, metavar: str, default: Sequence[object], text: str, **more: object) -> None:
        help = f"{text} (default: {' '.join(map(str, default)) or 'all'})"
        parser.add_argument(name, nargs="+", metavar=metavar, default=default, help=help, **more)  # type: ignore[arg-type]

    several("--sections", "NAME", list(SECTIONS), "what to measure", choices=list(SECTIONS))
    several("--systems", "NAME", [], "systems whose names begin so")
    several("--workers", "N", sorted({1, processors()}), "processes of our agent, if it can have several", type=int)
    several("--loads", "NAME", list(LOADS), "what wrk asks for", choices=list(LOADS))
    several("--clients", "N", [1, 16, 64, 256], "connections of wrk", type=int)
    parser.add_argument("--system", action="append", metavar="TEMPLATE", default=[], help="another system; repeatable")
    parser.add_argument("--field", action="append", metavar="FIELD", default=[], help="sent by wrk; repeatable")
    for name, default, text in (
        ("--seconds", 1, "of each run"),
        ("--rounds", 5, "in which each run comes once"),
        ("--rest", 60, "seconds of rest"),
        ("--polls", 5000, "long polls at once"),
    ):
        parser.add_argument(name, type=int, metavar="N", default=default, help=f"{text} (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="put the results into benchmarks/README.md and its plot")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
