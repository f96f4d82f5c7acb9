"""Interleaved rounds: in each, every system carries every load, one after the other; what counts are the medians."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.loads import Answers, Load, ask, is_answered
from benchmarks.systems import BACKEND, System
from benchmarks.usage import processor_seconds, reset_peak, resident_kib
from tests.system.processes import Process


@dataclass(frozen=True, slots=True)
class Cell:
    """One load on one system by so many clients."""

    load: Load
    clients: int
    system: str


@dataclass(frozen=True, slots=True)
class Used:
    """What one part of a system used: milliseconds of processor time for a request, peak and last resident KiB."""

    milliseconds: float
    peak: float
    last: float


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run gave, or the medians of several."""

    rate: float
    megabytes: float
    p50: float
    p90: float
    p99: float
    errors: int
    """The sum, not the median: one is too many."""
    used: Mapping[str, Used]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked, by how many, how long (seconds) and how often."""

    loads: Sequence[Load]
    clients: Sequence[int]
    seconds: int
    rounds: int
    fields: tuple[str, ...] = ()


def measure(
    plan: Plan, backend: Process, systems: Sequence[System], *, tell: Callable[[str], None]
) -> dict[Cell, Sample]:
    """The medians of a plan. Raises `RuntimeError` for a system that does not answer as the backend does."""
    for system in systems:
        for load in plan.loads:
            if not is_answered(system.url.removeprefix("http://"), load, plan.fields):
                raise RuntimeError(f"{system.name} does not answer {load.title} as it should")
    samples: dict[Cell, list[Sample]] = {
        Cell(load, clients, system.name): [] for load in plan.loads for clients in plan.clients for system in systems
    }
    for number in range(plan.rounds):
        for load in plan.loads:
            for clients in plan.clients:
                tell(f"round {number + 1} of {plan.rounds}: {load.title}, {clients} clients")
                for system in systems:
                    sample = _run(plan, load, clients, system, backend)
                    samples[Cell(load, clients, system.name)].append(sample)
    return {cell: _medians(of) for cell, of in samples.items()}


def _run(plan: Plan, load: Load, clients: int, system: System, backend: Process) -> Sample:
    parts = {**system.parts, BACKEND: backend}
    pids = {name: process.pid for name, process in parts.items()}
    for pid in pids.values():
        reset_peak(pid)
    before = {name: processor_seconds(pid) for name, pid in pids.items()}
    answers = ask(system.url, load, clients=clients, seconds=plan.seconds, fields=plan.fields)
    for process in parts.values():
        process.require_running()
    used = {name: _used(pid, before[name], answers) for name, pid in pids.items()}
    return Sample(answers.rate, answers.megabytes, answers.p50, answers.p90, answers.p99, answers.errors, used)


def _used(pid: int, before: float, answers: Answers) -> Used:
    peak, last = resident_kib(pid)
    return Used((processor_seconds(pid) - before) * 1000 / max(1, answers.requests), peak, last)


def _medians(samples: Sequence[Sample]) -> Sample:
    def median(of: Callable[[Sample], float]) -> float:
        return statistics.median(map(of, samples))

    return Sample(
        rate=median(lambda each: each.rate),
        megabytes=median(lambda each: each.megabytes),
        p50=median(lambda each: each.p50),
        p90=median(lambda each: each.p90),
        p99=median(lambda each: each.p99),
        errors=sum(each.errors for each in samples),
        used={
            part: Used(
                *(statistics.median(values) for values in zip(*(_row(each, part) for each in samples), strict=True))
            )
            for part in samples[0].used
        },
    )


def _row(sample: Sample, part: str) -> tuple[float, float, float]:
    used = sample.used[part]
    return used.milliseconds, used.peak, used.last
