"""What is remembered of exchanges."""

from stores.datastore.exchange_records import Record
from stores.datastore.recent_records import RecentRecords
from tests.factories import BACKEND, REQUEST, an_exchange
from wire.protocol import BackendId, RequestId


def a_record(name: str = REQUEST) -> Record:
    return Record(an_exchange(name))


def test_what_was_remembered_is_known_of_its_backend_alone() -> None:
    recent = RecentRecords()
    recent.put(a_record())
    assert recent.get(BACKEND, REQUEST) == a_record()
    assert recent.get(BackendId("other"), REQUEST) is None
    recent.drop(REQUEST)
    assert recent.get(BACKEND, REQUEST) is None


def test_no_more_is_remembered_than_there_is_room_for() -> None:
    recent = RecentRecords(capacity=2)
    for name in ("1", "2", "1", "3"):
        recent.put(a_record(name), fresh="answer")
    assert recent.get(BACKEND, RequestId("2")) is None
    assert recent.take_fresh(BACKEND, RequestId("2"), "answer") is None
    assert recent.get(BACKEND, RequestId("1")) is not None
    assert recent.get(BACKEND, RequestId("3")) is not None


def test_an_exchange_is_fresh_for_one_stream_once_and_until_something_happens_to_it() -> None:
    recent = RecentRecords()
    recent.put(a_record(), fresh="answer")
    assert recent.take_fresh(BackendId("other"), REQUEST, "answer") is None
    assert recent.take_fresh(BACKEND, REQUEST, "request") is None
    assert recent.take_fresh(BACKEND, REQUEST, "answer") == a_record()
    assert recent.take_fresh(BACKEND, REQUEST, "answer") is None
    recent.put(a_record(), fresh="answer")
    recent.put(a_record())
    assert recent.take_fresh(BACKEND, REQUEST, "answer") is None
