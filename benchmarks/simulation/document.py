"""The results as tables, plot and page."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.pages import Page, table
from benchmarks.plot import Panel, draw
from benchmarks.simulation.inputs import (
    COMMIT,
    HINT,
    INSTANCE_RATE,
    KIND_START,
    LOOKUP,
    MAX_INSTANCES,
    QUERY,
    THREADS,
    Design,
)
from benchmarks.simulation.measures import Outcome

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "scaling.md"
PLOT: Final = DOCUMENT.with_suffix(".svg")
BEGIN: Final = "<!-- What follows is written by `python -m benchmarks.simulation --keep`. -->"

Outcomes = Mapping[Design, Sequence[Outcome]]
Limit = tuple[Outcome | None, Outcome | None]
"""What is carried, and what is not."""

Limits = Mapping[tuple[Design, int], Limit]


def report(outcomes: Outcomes, limits: Limits) -> str:
    """All tables, in Markdown."""
    sections = [_limits(limits), f"![Carried, and how long it takes]({PLOT.name})", _latencies()]
    sections += [f"## {design.name}\n\n{_outcomes(outcomes[design])}" for design in outcomes]
    return "\n\n".join(sections)


def plot(outcomes: Outcomes) -> str:
    """In SVG: for each number of backends what is carried, and how long half of it takes."""
    panels = []
    for backends in dict.fromkeys(each.size.backends for some in outcomes.values() for each in some):
        name = f"{backends:,} backend{'s' * (backends > 1)}"
        of = {
            design.name: {int(each.size.rate): each for each in some if each.size.backends == backends}
            for design, some in outcomes.items()
        }
        carried = {line: {rate: each.carried for rate, each in of[line].items()} for line in of}
        slow = {line: {rate: each.p50 * 1000 for rate, each in of[line].items()} for line in of}
        panels.append(Panel(f"{name}: answers a second", carried, "requests/s"))
        panels.append(Panel(f"{name}: p50 in milliseconds", slow, "requests/s"))
    return draw(panels)


def ramp(calls_a_second: float) -> float:
    """Minutes until new kinds take so many calls a second, if their number grows as fast as it may."""
    return max(0.0, 5 * math.log(calls_a_second / KIND_START, 1.5)) if calls_a_second else 0.0


def page() -> Page:
    """The document, as it is."""
    return Page(DOCUMENT.read_text("utf-8"), BEGIN)


def _limits(limits: Limits) -> str:
    allowed = f"with `max_instances: {MAX_INSTANCES}`"
    header = ("", "backends", "carries, requests/s", "breaks at", "where", "instances for users + agents", allowed)
    rows = [
        (
            design.name,
            f"{backends:,}",
            f"{best.size.rate:,.0f}" if best else "none that was tried",
            f"{worst.size.rate:,.0f}" if worst else "not tried",
            _place(worst) if worst else "–",
            _instances(best) if best else "–",
            _allowed(best) if best else "–",
        )
        for (design, backends), (best, worst) in limits.items()
    ]
    return "## How much is carried\n\n" + table(header, rows)


def _outcomes(outcomes: Sequence[Outcome]) -> str:
    header = ("backends", "requests/s", "carried", "p50", "p99", "failed", "calls for each", "calls/s", "ramp")
    rows = [
        (
            f"{each.size.backends:,}",
            f"{each.size.rate:,.0f}",
            f"{each.carried:,.0f}",
            _seconds(each.p50),
            _seconds(each.p99),
            f"{each.failed:.0%}",
            f"{each.calls:,.1f}",
            f"{each.calls_a_second:,.0f}",
            f"{ramp(each.calls_a_second):.0f} min",
            f"{each.queued:,}",
            _place(each),
            _instances(each),
        )
        for each in outcomes
    ]
    return table((*header, "queue", "longest wait to write", "instances"), rows)


def _latencies() -> str:
    calls = {"look-up": LOOKUP, "query": QUERY, "commit": COMMIT, "memcache": HINT}
    rows = [
        (
            name,
            _seconds(each.median),
            _seconds(each.median * math.exp(1.2816 * each.spread)),
            f"{each.slow_share:.1%} take {_seconds(each.slow)} more",
        )
        for name, each in calls.items()
    ]
    return "## What calls take, assumed\n\n" + table(("", "median", "90 %", "tail"), rows)


def _place(outcome: Outcome) -> str:
    return f"{outcome.hot_key}: {_seconds(outcome.hot_wait)}" if outcome.hot_key else "–"


def _instances(outcome: Outcome) -> str:
    """By threads and by processors; bold where the yaml files do not allow so many."""
    busy = outcome.size.rate / INSTANCE_RATE
    needed = [math.ceil(max(taken / THREADS, busy)) for taken in (outcome.users, outcome.agent_calls)]
    return " + ".join(f"**{each:,}**" if each > MAX_INSTANCES else f"{each:,}" for each in needed)


def _allowed(best: Outcome) -> str:
    """What the yaml files allow of what Datastore would carry."""
    if best.size.backends > MAX_INSTANCES * THREADS:
        return f"nothing: {MAX_INSTANCES * THREADS} agents at most"
    return f"{min(best.size.rate, MAX_INSTANCES * INSTANCE_RATE):,.0f}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
