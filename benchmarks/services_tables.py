"""What the services cost, as tables in Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from benchmarks.calls import Calls, Shares
from benchmarks.idle import Idle
from benchmarks.loads import Load
from benchmarks.pages import table
from benchmarks.rounds import Cell, Sample

_CALLS: Final = ("by method", "read", "written", "deleted")


class Counted(NamedTuple):
    """What one load cost."""

    load: Load
    clients: int
    system: str
    calls: Calls


def loads_table(load: Load, samples: Mapping[Cell, Sample], *, run: str) -> str:
    """One load, by so many clients each; `run` names date and commit in every row."""
    of = {cell: sample for cell, sample in samples.items() if cell.load == load}
    parts = _names(sample.used for sample in of.values())
    header = ["", "clients", "MB/s" if load.is_large else "requests/s", "p50", "p90", "errors", *_processor(parts)]
    rows = [
        [
            cell.system,
            f"{cell.clients}",
            f"{sample.megabytes if load.is_large else sample.rate:.1f}",
            f"{sample.p50:.0f} ms",
            f"{sample.p90:.0f} ms",
            f"{sample.errors}",
            *(f"{sample.used[part].milliseconds:.1f} ms" if part in sample.used else "–" for part in parts),
            run,
        ]
        for cell, sample in of.items()
    ]
    return _numbers([*header, "run"], rows)


def calls_table(counted: Sequence[Counted], *, run: str) -> str:
    """Calls and entities for each request."""
    header = ["", "clients", "", "calls", *_CALLS, "run"]
    rows = [
        [each.load.title, f"{each.clients}", each.system, f"{each.calls.total:.1f}", *_columns(each.calls, ".1f"), run]
        for each in counted
    ]
    return table(header, rows)


def idle_table(idle: Mapping[str, Idle], calls: Mapping[str, Calls], *, run: str) -> str:
    """Calls and entities of a minute in which nobody asks."""
    rows = [[name, f"{calls[name].total:.0f}", *_columns(calls[name], ".1f"), run] for name in idle]
    return table(["", "calls", *_CALLS, "run"], rows)


def rest_table(idle: Mapping[str, Idle], *, run: str) -> str:
    """Processor time of that minute, and memory at its end."""
    parts = _names(each.milliseconds for each in idle.values())
    rows = [
        [
            name,
            *(f"{each.milliseconds[part]:.0f} ms" if part in each.milliseconds else "–" for part in parts),
            *(f"{each.resident[part] / 1024:.0f} MiB" if part in each.resident else "–" for part in parts),
            run,
        ]
        for name, each in idle.items()
    ]
    return _numbers(["", *_processor(parts), *(f"memory: {part}" for part in parts), "run"], rows)


def _names(mappings: Iterable[Mapping[str, object]]) -> list[str]:
    """Of all, each once."""
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def _processor(parts: Sequence[str]) -> list[str]:
    return [f"CPU: {part}" for part in parts]


def _columns(calls: Calls, form: str) -> list[str]:
    def cell(shares: Shares) -> str:
        return ", ".join(f"{name} {share:{form}}" for name, share in shares.items()) or "–"

    return [cell(shares) for shares in (calls.methods, calls.read, calls.written, calls.deleted)]


def _numbers(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return table(header, rows, rule=["---", *["--:"] * (len(header) - 2), "---"])
