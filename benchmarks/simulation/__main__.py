"""`python -m benchmarks.simulation [--keep] [--seed N] …`: sizes of App Engine, simulated."""

import argparse
import sys
from functools import partial

from benchmarks.simulation.document import DOCUMENT, PLOT, Limit, Limits, page, plot, report
from benchmarks.simulation.inputs import BACKENDS, DESIGNS, RATES, Design, Size
from benchmarks.simulation.measures import Outcome
from benchmarks.simulation.runs import find_limit, simulate


def main() -> None:
    """Simulate every size of every design; print, or keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation")
    parser.add_argument("--keep", action="store_true", help="write tables and plot into docs/")
    parser.add_argument("--backends", type=int, nargs="+", default=BACKENDS)
    parser.add_argument("--rates", type=int, nargs="+", default=RATES, help="requests a second")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    outcomes: dict[Design, list[Outcome]] = {design: [] for design in DESIGNS}
    limits: dict[tuple[Design, int], Limit] = {}
    for design in DESIGNS:
        for backends in given.backends:
            some = [_tried(design, Size(backends=backends, rate=rate), seed=given.seed) for rate in given.rates]
            outcomes[design] += some
            limits[design, backends] = find_limit(some, partial(_tried, design, seed=given.seed))
    _show(outcomes, limits, keep=given.keep)


def _tried(design: Design, size: Size, *, seed: int) -> Outcome:
    print(f"{design.name}: {size.backends:,} backends, {size.rate:,} requests/s", file=sys.stderr, flush=True)
    return simulate(design, size, seed=seed)


def _show(outcomes: dict[Design, list[Outcome]], limits: Limits, *, keep: bool) -> None:
    text = report(outcomes, limits)
    if not keep:
        print(text)
        return
    DOCUMENT.write_text(page().keeping(text), "utf-8")
    PLOT.write_text(plot(outcomes), "utf-8")


if __name__ == "__main__":
    main()
