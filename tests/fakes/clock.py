"""Time that only moves when told."""

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 5, 17, 12, tzinfo=UTC)


class FakeClock:
    """A `broker.waiting.Clock`; `sleep` has the shape of `time.sleep` and takes no time."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now

    def now(self) -> datetime:
        """The simulated time."""
        return self._now

    def advance(self, by: timedelta) -> None:
        """Let time pass. Raises `ValueError` for time that would run backwards."""
        if by < timedelta():
            raise ValueError(f"time does not run backwards: {by}")
        self._now += by

    def sleep(self, seconds: float) -> None:
        """Let time pass, for code that sleeps."""
        self.advance(timedelta(seconds=seconds))
