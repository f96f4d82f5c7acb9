from datetime import UTC, datetime, timedelta

from broker.clock import SystemClock
from tests.factories import seconds


def test_the_time_of_the_machine_is_aware_and_in_utc() -> None:
    before = datetime.now(UTC)
    now = SystemClock().now()

    assert now.tzinfo is UTC
    assert timedelta() <= now - before < seconds(60)
