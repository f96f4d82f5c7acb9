"""Lines of the log that would say the same again and again while a service is away: one in a second, which tells how
many were left out before it."""

from datetime import datetime, timedelta
from threading import Lock
from typing import Final

_SPACING: Final = timedelta(seconds=1)


class Repetitions:
    """What was logged last of each cause, of which there are few. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()  # guards the two below
        self._logged: dict[str, datetime] = {}
        self._left_out: dict[str, int] = {}

    def left_out(self, cause: str, *, now: datetime) -> int | None:
        """How many were left out since the last line of this cause; None where this one is to be left out, too."""
        with self._lock:
            last = self._logged.get(cause)
            if last is not None and now - last < _SPACING:
                self._left_out[cause] = self._left_out.get(cause, 0) + 1
                return None
            self._logged[cause] = now
            return self._left_out.pop(cause, 0)
