"""`python -m benchmarks.cost [--keep]`: what a month on App Engine costs, from calls and prices; nothing is measured.

Prices stand in the tables at the top, with where they come from; what our services do is read from where
`python -m benchmarks.appengine --keep` has put it. `docs/cost.md` holds what this prints.
"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

from benchmarks.loads import GET, LONG
from benchmarks.measured import HINTS, POLLING, Measured, idle_minute, request
from benchmarks.pages import Page, table

DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "cost.md"

BEGIN: Final = "<!-- What follows is written by `python -m benchmarks.cost --keep`. -->"

DAYS: Final = 30
HOURS: Final = DAYS * 24
MINUTES: Final = HOURS * 60
SECONDS: Final = MINUTES * 60
_GIB: Final = 2**30
_PART_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Input:
    """A number that can be another one elsewhere or later, and where it comes from."""

    value: float
    what: str
    source: str


_FIRESTORE: Final = "firebase.google.com/docs/firestore/pricing, Oregon (us-west1); a copy read 2026-11-27"
_APP_ENGINE: Final = "from memory: cloud.google.com/appengine/pricing, of which copies lack the figures (2026-11-27)"
_FREE: Final = "cloud.google.com/firestore/pricing; a copy read 2026-11-27"
_QUOTAS: Final = "from memory: cloud.google.com/appengine/quotas; others say the same (2026-11-27)"

READS: Final = Input(0.03, "$ for 100,000 entities read", _FIRESTORE)
WRITES: Final = Input(0.09, "$ for 100,000 entities written", _FIRESTORE)
DELETES: Final = Input(0.01, "$ for 100,000 entities deleted", _FIRESTORE)
INSTANCE: Final = Input(0.05, "$ for an hour of an F1 instance; F2 counts twice", _APP_ENGINE)
EGRESS: Final = Input(0.12, "$ for a GiB out of App Engine", _APP_ENGINE)
FREE_READS: Final = Input(50_000, "entities read without charge, a day", _FREE)
FREE_WRITES: Final = Input(20_000, "entities written without charge, a day", _FREE)
FREE_DELETES: Final = Input(20_000, "entities deleted without charge, a day", _FREE)
FREE_INSTANCE: Final = Input(28, "hours of F1 without charge, a day", _QUOTAS)
FREE_EGRESS: Final = Input(1, "GiB out without charge, a day", _QUOTAS)
CRON: Final = Input(1, "F1 instances that the cron keeps for administrators", "cron.yaml, api_service.yaml")
RATE: Final = Input(
    20,
    "requests a second that one instance carries",
    "assumed: a fraction of a core; benchmarks/README.md has what two did",
)

PRICES: Final = (READS, WRITES, DELETES, INSTANCE, EGRESS)
ALLOWANCES: Final = (FREE_READS, FREE_WRITES, FREE_DELETES, FREE_INSTANCE, FREE_EGRESS, CRON, RATE)


class Entities(NamedTuple):
    """How many are read, written and deleted; of those that are looked up one that is not there counts, too, and each
    query as one, which is the most that one costs that finds none or one."""

    read: float
    written: float
    deleted: float

    def plus(self, share: float, other: Self) -> Self:
        """With a share of others."""
        return type(self)(*(mine + share * others for mine, others in zip(self, other, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What a system does for requests and for agents that wait."""

    name: str
    source: str
    calls: float
    """To Datastore, for a small request."""
    small: Entities
    """For a small request."""
    megabyte: Entities
    """For each further megabyte of either body."""
    idle: Entities
    """Of an agent that waits, a minute."""
    f1: int
    """How many hours of F1 an hour of its instance counts."""
    threads: int
    """Polls that wait in one instance of the agents' service at a time."""


ORIGINAL: Final = System(
    name="the original",
    source="measured on the emulator, one client: 16 to 20 calls, 8.2 entity writes; idle 540 queries and 540 writes. "
    "Assumed: each other call reads one entity, its cron deletes two for each request, a megabyte is one entity more, "
    "and its yaml files leave App Engine's defaults, F1 and 10 requests at a time",
    calls=18,
    small=Entities(9.8, 8.2, 2),
    megabyte=Entities(1, 1, 1),
    idle=Entities(540, 540, 0),
    f1=1,
    threads=10,
)


def as_measured(name: str) -> System:
    """Ours, by what was last kept in benchmarks/README.md of one client and of one agent."""
    small, long, idle = request(name, GET.title), request(name, LONG.title), idle_minute(name)
    further = parts_beyond(LONG.receives)
    return System(
        name=name,
        source=f"benchmarks/README.md, on the emulator, one client, {small.run}: a small GET, one of 5 MB for what a "
        "megabyte takes, and an idle minute",
        calls=small.calls,
        small=_entities(small),
        megabyte=Entities(0, 0, 0).plus(1 / further, _entities(long)).plus(-1 / further, _entities(small)),
        idle=_entities(idle),
        f1=1,
        threads=80,
    )


def _entities(measured: Measured) -> Entities:
    return Entities(measured.read, measured.written, measured.deleted)


def parts_beyond(size: int) -> int:
    """Megabytes of a body beyond the first."""
    return max(0, -(-size // _PART_BYTES) - 1)


SYSTEMS: Final = (ORIGINAL, as_measured(HINTS), as_measured(POLLING))


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A month, its requests spread evenly."""

    backends: int
    agents: int
    """For each backend."""
    requests: int
    request_bytes: int
    answer_bytes: int


USAGES: Final = (
    Usage(backends=1, agents=1, requests=0, request_bytes=0, answer_bytes=0),
    Usage(backends=1, agents=1, requests=100_000, request_bytes=1_000, answer_bytes=10_000),
    Usage(backends=1, agents=1, requests=10_000_000, request_bytes=1_000, answer_bytes=10_000),
    Usage(backends=1, agents=2, requests=100_000, request_bytes=1_000, answer_bytes=5_000_000),
    Usage(backends=100, agents=1, requests=1_000_000, request_bytes=1_000, answer_bytes=10_000),
    Usage(backends=100, agents=2, requests=100_000_000, request_bytes=1_000, answer_bytes=10_000),
    Usage(backends=10_000, agents=1, requests=100_000_000, request_bytes=1_000, answer_bytes=10_000),
)


@dataclass(frozen=True, slots=True)
class Bill:
    """Dollars a month."""

    datastore: float
    instances: float
    egress: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.datastore + self.instances + self.egress


def bill(system: System, usage: Usage) -> Bill:
    """What a system costs for a month of usage."""
    further = parts_beyond(usage.request_bytes) + parts_beyond(usage.answer_bytes)
    each = system.small.plus(further, system.megabyte)
    used = Entities(0, 0, 0).plus(usage.requests, each).plus(usage.backends * usage.agents * MINUTES, system.idle)
    out = usage.requests * (usage.request_bytes + usage.answer_bytes) / _GIB
    return Bill(
        datastore=_charge(used.read, FREE_READS, READS, unit=100_000)
        + _charge(used.written, FREE_WRITES, WRITES, unit=100_000)
        + _charge(used.deleted, FREE_DELETES, DELETES, unit=100_000),
        instances=_charge(_hours(system, usage), FREE_INSTANCE, INSTANCE),
        egress=_charge(out, FREE_EGRESS, EGRESS),
    )


def agents_instances(system: System, usage: Usage) -> int:
    """How many instances of the agents' service run: each waiting poll occupies a thread, or what it counts as one,
    and each request a processor for a while."""
    return max(-(-usage.backends * usage.agents // system.threads), proxy_instances(usage))


def proxy_instances(usage: Usage) -> int:
    """How many of the users' service: each request occupies a processor for a while."""
    return math.ceil(usage.requests / SECONDS / RATE.value)


def _hours(system: System, usage: Usage) -> float:
    """Of F1, a month."""
    return ((agents_instances(system, usage) + proxy_instances(usage)) * system.f1 + CRON.value) * HOURS


def _charge(amount: float, free_a_day: Input, price: Input, *, unit: int = 1) -> float:
    return max(0.0, amount - free_a_day.value * DAYS) / unit * price.value


def report() -> str:
    """All tables, in Markdown."""
    return "\n\n".join((_inputs(), _behaviours(), _totals(), _breakdown(USAGES[5])))


def _inputs() -> str:
    rows = [(f"{each.value:,g}", each.what, each.source) for each in (*PRICES, *ALLOWANCES)]
    return "## Inputs\n\n" + table(("", "what", "source"), rows)


def _behaviours() -> str:
    header = ("", "calls", "small request", "each further MB", "idle minute", "instance", "waits")
    rows = [
        (
            system.name,
            f"{system.calls:g}",
            _counts(system.small),
            _counts(system.megabyte),
            _counts(system.idle),
            f"F{system.f1}",
            f"{system.threads}",
        )
        for system in SYSTEMS
    ]
    sources = "\n".join(f"- **{system.name}**: {system.source}." for system in SYSTEMS)
    return (
        "## What the systems do\n\nCalls for a small request; entities read, written and deleted for it, for each "
        "further megabyte of a body, and in a minute of an idle agent; and the polls that wait in one instance."
        f"\n\n{table(header, rows)}\n\n{sources}"
    )


def _counts(entities: Entities) -> str:
    return " + ".join(f"{count:.1f}".removesuffix(".0") for count in entities)


def _totals() -> str:
    header = ("backends", "agents of each", "requests", "answer", *(f"{system.name}" for system in SYSTEMS))
    rows = [
        (
            f"{usage.backends:,}",
            f"{usage.agents}",
            f"{usage.requests:,}",
            _size(usage.answer_bytes),
            *(f"${bill(system, usage).total:,.0f}" for system in SYSTEMS),
        )
        for usage in USAGES
    ]
    return "## A month\n\n" + table(header, rows)


def _breakdown(usage: Usage) -> str:
    rows = []
    for system in SYSTEMS:
        of = bill(system, usage)
        amounts = (of.datastore, of.instances, of.egress, of.total)
        rows.append(
            (
                system.name,
                f"{agents_instances(system, usage)} + {proxy_instances(usage)}",
                *(f"${amount:,.0f}" for amount in amounts),
            )
        )
    title = f"Where it goes: {usage.backends:,} backends of {usage.agents} agents, {usage.requests:,} requests"
    return f"## {title}\n\n" + table(
        ("", "instances for agents + users", "Datastore", "instance hours", "egress", "all"), rows
    )


def _size(size: int) -> str:
    return f"{size / 1_000_000:g} MB" if size >= 1_000_000 else f"{size / 1000:g} kB"


def page() -> Page:
    """The document, as it is."""
    return Page(DOCUMENT.read_text("utf-8"), BEGIN)


def main() -> None:
    """Print, or keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost")
    parser.add_argument("--keep", action="store_true", help="write it into docs/cost.md")
    if not parser.parse_args().keep:
        print(report())
        return
    DOCUMENT.write_text(page().keeping(report()), "utf-8")


if __name__ == "__main__":
    main()
