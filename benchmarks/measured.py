"""What `benchmarks.appengine` has kept of calls to Datastore, read back from the README: for other programs' tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.pages import Page, rows_under

README: Final = Path(__file__).with_name("README.md")
BEGIN: Final = "<!-- What follows is written by `python -m benchmarks.appengine --keep`. -->"

CALLS_OF_REQUEST: Final = "Calls to Datastore for each request"
CALLS_OF_MINUTE: Final = "An idle minute"

POLLING: Final = "polling alone"
HINTS: Final = "hints in a memcached"


@dataclass(frozen=True, slots=True)
class Measured:
    """Calls, and entities of all kinds."""

    calls: float
    read: float
    written: float
    deleted: float
    run: str
    """Day and commit."""


def request(system: str, load: str, *, page: Page | None = None) -> Measured:
    """What a request of one client took. Raises `KeyError` where none was measured."""
    return _measured(page, CALLS_OF_REQUEST, [load, "1", system])


def idle_minute(system: str, *, page: Page | None = None) -> Measured:
    """What an agent took in a minute in which nobody asked. Raises `KeyError` likewise."""
    return _measured(page, CALLS_OF_MINUTE, [system])


def _measured(page: Page | None, title: str, names: Sequence[str]) -> Measured:
    page = page or Page(README.read_text("utf-8"), BEGIN)
    for row in rows_under(page.kept, title):
        if row[: len(names)] == names:
            calls, _, read, written, deleted, run = row[len(names) :]
            return Measured(float(calls), _sum(read), _sum(written), _sum(deleted), run)
    raise KeyError(f"{title}: {', '.join(names)}")


def _sum(cell: str) -> float:
    """Of all kinds: `backend 0.5, exchange 5.2`."""
    return sum(float(kind.rpartition(" ")[2]) for kind in cell.split(", ") if kind != "–")
