import pytest

from broker.model import Answer, BackendStatus, Part, State
from tests.factories import a_backend, an_exchange


def test_an_exchange_begins_in_the_queue_and_in_nobodys_hands() -> None:
    exchange = an_exchange()

    assert (exchange.state, exchange.agent_id, exchange.leased_until, exchange.failure) == (State.QUEUED, "", None, "")


@pytest.mark.parametrize(("part", "end"), [(Part(0, b"", True), 0), (Part(5, b"abc", False), 8)])
def test_the_end_of_a_part_is_behind_its_data(part: Part, end: int) -> None:
    assert part.end == end


@pytest.mark.parametrize(
    "record", [a_backend(), an_exchange(), Part(0, b"", True), Answer(an_exchange(), None), BackendStatus()]
)
def test_records_do_not_change(record: object) -> None:
    kind = type(record)
    name = next(iter(getattr(kind, "_fields", kind.__slots__)))  # type: ignore[attr-defined]  # each has one of them

    with pytest.raises(AttributeError):
        setattr(record, name, None)


def test_nothing_is_known_of_a_new_backend() -> None:
    assert (BackendStatus().last_polled, BackendStatus().last_used) == (None, None)
