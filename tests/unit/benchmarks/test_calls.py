"""What is counted is shared out among the requests, or minutes."""

from benchmarks.calls import Calls
from tests.datastore_relay import Call


def test_calls_count_by_method_and_entities_by_kind() -> None:
    calls = [
        Call("Lookup", 10, read=("exchange", "exchange", "backend")),
        Call("RunQuery", 10, read=("exchange",)),
        Call("Commit", 10, written=("exchange", "part"), deleted=("part",)),
    ]

    shares = Calls.of(calls, per=2)

    assert shares.methods == {"Commit": 0.5, "Lookup": 0.5, "RunQuery": 0.5}
    assert shares.read == {"backend": 0.5, "exchange": 1.5}
    assert (shares.written, shares.deleted) == ({"exchange": 0.5, "part": 0.5}, {"part": 0.5})
    assert shares.total == 1.5
