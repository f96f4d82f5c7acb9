from dataclasses import replace
from random import Random

from benchmarks.simulation.datastore import Datastore
from benchmarks.simulation.engine import Engine
from benchmarks.simulation.inputs import Limit, Size
from benchmarks.simulation.measures import Gauge, Measures, Outcome, outcome_of

SIZE = Size(backends=1, rate=10)


def outcome(measures: Measures, datastore: Datastore | None = None) -> Outcome:
    return outcome_of(SIZE, measures, datastore or Datastore(Engine(), Random(1)), 10)


def test_a_gauge_knows_the_most_there_were() -> None:
    gauge = Gauge()
    for change in (1, 1, -1):
        gauge.add(change)
    assert (gauge.now, gauge.most) == (1, 2)


def test_after_a_reset_the_most_is_what_there_is() -> None:
    measures = Measures()
    for change in (1, 1, -1):
        measures.queued.add(change)
    measures.reset()
    assert measures.queued.most == 1


def test_quantiles_are_those_of_answered_requests() -> None:
    measures = Measures(latencies=[each / 100 for each in range(1, 101)], arrived=100)
    of = outcome(measures)
    assert (of.p50, of.p99, of.carried, of.failed) == (0.51, 1.0, 10, 0)


def test_where_nothing_was_answered_there_are_no_quantiles() -> None:
    measures = Measures(arrived=5)
    measures.failures["NoAnswer"] = 5
    of = outcome(measures)
    assert (of.p50, of.calls, of.failed, of.is_broken) == (0, 0, 1, True)


def test_the_hottest_place_is_where_a_write_waited_for_the_longest() -> None:
    datastore = Datastore(Engine(), Random(1))
    for place in (("one", 1), ("two", 1), ("two", 1), ("two", 1)):
        datastore.cross([(place, Limit(rate=1, burst=0))], 0)
    of = outcome(Measures(), datastore)
    assert (of.hot_key, of.hot_wait) == ("two", 2)


def test_a_deployment_is_broken_by_failures_by_what_it_leaves_behind_and_by_slowness() -> None:
    sound = outcome(Measures(latencies=[0.1] * 100, arrived=100))
    assert not sound.is_broken
    assert replace(sound, failed=0.02).is_broken
    assert replace(sound, carried=sound.offered / 2).is_broken
    assert replace(sound, p99=6).is_broken
