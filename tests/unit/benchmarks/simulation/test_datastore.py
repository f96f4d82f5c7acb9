from random import Random

import pytest

from benchmarks.simulation.datastore import Commits, Contended, Datastore, Spot, sample
from benchmarks.simulation.engine import Engine, Process
from benchmarks.simulation.inputs import COMMIT, CONTENDED_AFTER, MAX_CHANGES, Latency, Limit

ONCE_A_SECOND = Limit(rate=1, burst=2)


def test_a_burst_does_not_wait_and_what_comes_after_it_does() -> None:
    spot, waits = Spot(ONCE_A_SECOND), []
    for _ in range(5):
        waits.append(spot.wait(0))
        spot.take(0)
    assert waits == [0, 0, 0, 1, 2]
    assert (spot.writes, spot.longest_wait) == (5, 2)


def test_what_comes_at_the_rate_never_waits() -> None:
    spot = Spot(Limit(rate=500, burst=1))
    for number in range(5_000):
        spot.take(number / 500)
    assert spot.longest_wait == pytest.approx(0, abs=1e-6)


def test_half_of_the_calls_take_the_median_or_less_and_one_in_ten_much_longer() -> None:
    latency, random = Latency(median=0.01, spread=0.5, slow_share=0), Random(1)
    taken = sorted(sample(latency, random) for _ in range(10_000))
    assert taken[5_000] == pytest.approx(0.01, rel=0.05)
    assert taken[9_000] == pytest.approx(0.019, rel=0.05)


def test_slow_calls_are_as_frequent_as_is_said() -> None:
    random = Random(1)
    slow = [1 for _ in range(50_000) if sample(COMMIT, random) > COMMIT.slow]
    assert len(slow) == pytest.approx(50_000 * COMMIT.slow_share, rel=0.3)


def test_calls_are_counted_by_their_method_and_looks_into_memcache_apart() -> None:
    engine = Engine()
    datastore = Datastore(engine, Random(1))

    def calls() -> Process[None]:
        yield from datastore.lookup()
        yield from datastore.query()
        yield datastore.begin_commit()
        yield datastore.hint()

    engine.spawn(calls())
    engine.run(until=10)
    assert datastore.calls == {"Lookup": 1, "RunQuery": 1, "Commit": 1, "hint": 1}
    datastore.reset()
    assert datastore.calls == {}


def test_commits_of_one_entity_wait_for_one_another_and_give_up_at_last() -> None:
    engine = Engine()
    datastore = Datastore(engine, Random(1))
    done: list[float] = []
    given_up: list[float] = []

    def write() -> Process[None]:
        try:
            yield from Commits(engine, datastore).commit([[("entity", ONCE_A_SECOND)]])
            done.append(engine.seconds)
        except Contended:
            given_up.append(engine.seconds)

    for _ in range(10):
        engine.spawn(write())
    engine.run(until=60)
    assert len(done) == 2 + 1 + CONTENDED_AFTER
    assert [int(seconds) for seconds in sorted(done)] == [0, 0, 0, 1, 2, 3, 4, 5]
    assert given_up == [CONTENDED_AFTER] * 2


def test_commits_of_different_entities_do_not_wait_for_one_another() -> None:
    engine = Engine()
    datastore = Datastore(engine, Random(1))
    for number in range(50):
        engine.spawn(Commits(engine, datastore).commit([[(number, ONCE_A_SECOND)]]))
    engine.run(until=10)
    assert {spot.longest_wait for spot in datastore.spots().values()} == {0}


def test_what_comes_while_a_commit_of_the_instance_is_under_way_shares_the_next() -> None:
    engine = Engine()
    datastore = Datastore(engine, Random(1))
    commits = Commits(engine, datastore)
    done: list[float] = []

    def write() -> Process[None]:
        yield from commits.commit([()])
        done.append(engine.seconds)

    for _ in range(1 + MAX_CHANGES + 1):
        engine.spawn(write())
    engine.run(until=10)
    assert datastore.calls["Commit"] == 3
    assert [done.count(each) for each in sorted(set(done))] == [1, MAX_CHANGES, 1]
