"""What processes use, from /proc: time of processors, and memory. Each with all the processes it has started."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")

_RESET_PEAK: Final = "5"
"""For `/proc/PID/clear_refs` (proc(5)): the peak of resident memory is what is resident now."""


@dataclass(frozen=True, slots=True)
class _Stat:
    """A line of `/proc/PID/stat` (proc(5)): fields 4, 6 and 14 to 17."""

    pid: int
    parent: int
    session: int
    ticks: int
    """User and system time, with that of children that have ended."""

    @classmethod
    def read(cls, folder: Path) -> "_Stat":
        # The second field is the program's name in parentheses, which may hold anything.
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        return cls(int(folder.name), int(fields[1]), int(fields[3]), sum(map(int, fields[11:15])))


def members(pid: int) -> list[int]:
    """The process that leads a session, and all that it has started, in whatever session they are (sshd's are)."""
    return [each.pid for each in _family(pid)]


def processor_seconds(pid: int) -> float:
    """User and system time of a process and all that it has started."""
    return sum(each.ticks for each in _family(pid)) / _TICKS


def resident_kib(pid: int) -> tuple[int, int]:
    """Resident memory of a process and all that it has started: the sum of the peaks since `reset_peak`, and now."""
    peak = now = 0
    for member in members(pid):
        with suppress(OSError):
            lines = Path(f"/proc/{member}/status").read_text().splitlines()
            fields = dict(line.split(":", 1) for line in lines)
            peak += int(fields["VmHWM"].split()[0])
            now += int(fields["VmRSS"].split()[0])
    return peak, now


def reset_peak(pid: int) -> None:
    """Let peaks begin anew."""
    for member in members(pid):
        with suppress(OSError):
            Path(f"/proc/{member}/clear_refs").write_text(_RESET_PEAK)


def _family(pid: int) -> list[_Stat]:
    everybody = {each.pid: each for each in _read_all()}

    def belongs(each: _Stat) -> bool:
        parent: _Stat | None = each
        while parent is not None and pid not in (parent.pid, parent.session):
            parent = everybody.get(parent.parent)
        return parent is not None

    return [each for each in everybody.values() if belongs(each)]


def _read_all() -> Iterator[_Stat]:
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            yield _Stat.read(folder)
