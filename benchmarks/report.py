"""The results of one run: what they were measured on, and how they are kept."""

import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from benchmarks.loads import GET, Load
from benchmarks.pages import Page
from benchmarks.plot import Panel, draw
from benchmarks.rounds import Cell, Sample

_FOLDER: Final = Path(__file__).parent
_README: Final = _FOLDER / "README.md"
_PLOT: Final = _FOLDER / "loads.svg"

BEGIN: Final = "<!-- What follows is written by `python -m benchmarks --keep`. -->"


@dataclass(frozen=True, slots=True)
class Machine:
    """When, of what, and on what."""

    day: str
    commit: str
    description: str

    @property
    def run(self) -> str:
        """Date and commit, for every row of a table."""
        return f"{self.day} {self.commit}"

    @classmethod
    def here(cls) -> "Machine":
        """This machine, today; a commit with local changes has a `+`."""
        commit = _git("rev-parse", "--short", "HEAD") or "unknown"
        changed = "+" if _git("status", "--porcelain", "--untracked-files=no") else ""
        parts = [f"{len(os.sched_getaffinity(0))} processors", _processor(), f"Linux {platform.release()}"]
        parts += [f"Python {platform.python_version()}", _nginx()]
        return cls(date.today().isoformat(), f"{commit}{changed}", ", ".join(filter(None, parts)))


@dataclass(slots=True)
class Report:
    """Tables with titles, in order, and panels for the plot; kept in the README from the line `begin` on."""

    machine: Machine
    begin: str = BEGIN
    plot: Path | None = _PLOT
    panels: list[Panel] = field(default_factory=list)
    _sections: list[str] = field(default_factory=list)
    _notes: list[str] = field(default_factory=list)

    def add(self, title: str, table: str) -> None:
        """One more table."""
        self._sections.append(f"### {title}\n\n{table}")

    def add_note(self, text: str) -> None:
        """A sentence below the tables."""
        self._notes.append(f"{text}.")

    def markdown(self) -> str:
        """All of it."""
        head = f"Measured {self.machine.day} at {self.machine.commit}: {self.machine.description}."
        return "\n\n".join([head, *self._sections, *self._notes])

    def keep(self) -> None:
        """Replace what the README shows, and the plot beside it if there are lines to draw."""
        text = self.markdown()
        if self.plot and self.panels:
            self.plot.write_text(draw(self.panels))
        if self.plot and self.plot.exists():
            text = f"![Requests by the number of clients]({self.plot.name})\n\n{text}"
        _README.write_text(Page(_README.read_text(), self.begin).keeping(text))


def panels_of(loads: Sequence[Load], samples: Mapping[Cell, Sample]) -> list[Panel]:
    """How much each system carries, and how long a small request takes."""
    panels = [
        Panel(f"{load.title}: {'MB' if load.is_large else 'requests'} a second", _lines(load, samples, _amount))
        for load in loads
    ]
    if GET in loads:
        panels.append(Panel(f"{GET.title}: p50 in milliseconds", _lines(GET, samples, lambda _, sample: sample.p50)))
    return panels


def _amount(load: Load, sample: Sample) -> float:
    return sample.megabytes if load.is_large else sample.rate


def _lines(
    load: Load, samples: Mapping[Cell, Sample], value: Callable[[Load, Sample], float]
) -> dict[str, dict[int, float]]:
    lines: dict[str, dict[int, float]] = {}
    for cell, sample in samples.items():
        if cell.load == load:
            lines.setdefault(cell.system, {})[cell.clients] = value(load, sample)
    return lines


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=_FOLDER, capture_output=True, text=True)
    return done.stdout.strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _nginx() -> str:
    done = subprocess.run(["nginx", "-v"], capture_output=True, text=True)
    return done.stderr.strip().removeprefix("nginx version: ")
