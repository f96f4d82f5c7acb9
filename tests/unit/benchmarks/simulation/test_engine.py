from datetime import timedelta

import pytest

from benchmarks.simulation.engine import EPOCH, Engine, Process


def noting(name: str, waits: list[float], notes: list[tuple[str, float]], engine: Engine) -> Process[None]:
    for wait in waits:
        yield wait
        notes.append((name, engine.seconds))


def test_processes_run_in_the_order_of_their_times() -> None:
    engine, notes = Engine(), list[tuple[str, float]]()
    engine.spawn(noting("slow", [3, 3], notes, engine))
    engine.spawn(noting("quick", [2, 2], notes, engine))
    engine.run(until=10)
    assert notes == [("quick", 2), ("slow", 3), ("quick", 4), ("slow", 6)]


def test_at_equal_times_who_began_to_wait_first_goes_first() -> None:
    engine, notes = Engine(), list[tuple[str, float]]()
    for name in "abc":
        engine.spawn(noting(name, [1], notes, engine))
    engine.run(until=1)
    assert [name for name, _ in notes] == ["a", "b", "c"]


def test_what_waits_for_longer_goes_on_in_the_next_run() -> None:
    engine, notes = Engine(), list[tuple[str, float]]()
    engine.spawn(noting("a", [5], notes, engine))
    engine.run(until=4)
    assert notes == []
    engine.run(until=6)
    assert notes == [("a", 5)]


def test_the_clock_of_the_rules_is_the_simulated_one() -> None:
    engine = Engine()
    engine.run(until=42)
    assert engine.now() == EPOCH + timedelta(seconds=42)


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        Engine().spawn(iter(()), after=-1)  # type: ignore[arg-type]
