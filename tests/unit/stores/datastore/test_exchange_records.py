"""How exchanges lie in Datastore; the rest is seen through the store there."""

from datetime import timedelta

from stores.datastore.exchange_records import queue_place
from tests.fakes.clock import NOON
from wire.protocol import BackendId


def test_a_place_in_the_queue_sorts_by_backend_and_time() -> None:
    names = [BackendId("a"), BackendId("a!"), BackendId("a/1"), BackendId("b")]
    times = [NOON, NOON + timedelta(microseconds=1), NOON + timedelta(seconds=1)]
    places = [queue_place(name, time) for name in names for time in times]
    assert places == sorted(places)
