"""Results as tables in Markdown."""

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.idle import Idle, Waiting
from benchmarks.loads import Load
from benchmarks.pages import table
from benchmarks.rounds import Cell, Sample, Used
from benchmarks.systems import AGENT, BACKEND, SERVER

_PARTS = (SERVER, AGENT)


def loads_table(load: Load, samples: Mapping[Cell, Sample], *, run: str) -> str:
    """One load on every system, by so many clients each; `run` names date and commit in every row."""
    amount = "MB/s" if load.is_large else "requests/s"
    header = ["", "clients", amount, "p50", "p99", "errors"]
    header += ["CPU: server + agent = both", "backend", "peak memory: server + agent", "at the end", "run"]
    rows = [
        [
            cell.system,
            f"{cell.clients}",
            f"{sample.megabytes if load.is_large else sample.rate:,.0f}",
            _milliseconds(sample.p50),
            _milliseconds(sample.p99),
            f"{sample.errors}",
            _processor_time(sample.used),
            f"{sample.used[BACKEND].milliseconds:.2f}",
            _memory({part: used.peak for part, used in sample.used.items()}),
            _memory({part: used.last for part, used in sample.used.items()}),
            run,
        ]
        for cell, sample in samples.items()
        if cell.load == load
    ]
    return _table(header, rows)


def delay_table(samples: Mapping[Cell, Sample], *, run: str) -> str:
    """The p50 of every system whose far side is far."""
    clients = sorted({cell.clients for cell in samples})
    header = ["", *(f"p50, {count} client{'s' * (count > 1)}" for count in clients), "errors", "run"]
    rows = []
    for system in dict.fromkeys(cell.system for cell in samples):
        of = {cell.clients: sample for cell, sample in samples.items() if cell.system == system}
        errors = sum(sample.errors for sample in of.values())
        rows.append([system, *(_milliseconds(of[count].p50) for count in clients), f"{errors}", run])
    return _table(header, rows)


def idle_table(idle: Mapping[str, Idle], *, run: str) -> str:
    """What systems use that have nothing to do."""
    header = ["", "CPU a minute: server + agent", "messages of the agent a minute", "memory: server + agent", "run"]
    rows = [
        [
            name,
            " + ".join(f"{each.milliseconds[part]:.0f}" for part in _PARTS if part in each.milliseconds) + " ms",
            f"{each.messages:.0f}",
            _memory(each.resident),
            run,
        ]
        for name, each in idle.items()
    ]
    return _table(header, rows)


def waiting_table(waiting: Waiting, *, run: str) -> str:
    """The memory of long polls."""
    each = (waiting.after - waiting.before) / waiting.polls
    header = ["long polls", "memory before", "with them", "each", "answered though nothing came", "run"]
    sizes = f"{waiting.before / 1024:.0f} MiB", f"{waiting.after / 1024:.0f} MiB", f"{each:.1f} KiB"
    return _table(header, [[f"{waiting.polls:,}", *sizes, f"{waiting.answered}", run]])


def _processor_time(used: Mapping[str, Used]) -> str:
    times = [used[part].milliseconds for part in _PARTS if part in used]
    if len(times) < 2:
        return f"{times[0]:.2f} ms" if times else "–"
    return f"{' + '.join(f'{each:.2f}' for each in times)} = {sum(times):.2f} ms"


def _memory(kib: Mapping[str, float]) -> str:
    sizes = [f"{kib[part] / 1024:.0f}" for part in _PARTS if part in kib]
    return f"{' + '.join(sizes)} MiB" if sizes else "–"


def _milliseconds(value: float) -> str:
    return f"{value:.2f} ms" if value < 10 else f"{value:.0f} ms"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    # Numbers to the right, names and the run to the left.
    return table(header, rows, rule=["---", *["--:"] * (len(header) - 2), "---"])
