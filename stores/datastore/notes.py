"""When it was noted last that a backend was polled or used: each process writes that now and then."""

from datetime import datetime
from threading import Lock
from typing import Final

from broker.bounded import Bounded
from broker.model import BackendStatus
from broker.policy import Policy
from wire.protocol import BackendId

_NOTES: Final = 10_000

NOTHING: Final = BackendStatus()


class Notes:
    """When something was noted last, by this process or by another of whose note it has read."""

    def __init__(self, policy: Policy) -> None:
        self._spacing = policy.touch_spacing
        self._lock = Lock()  # guards the map
        self._last: Bounded[BackendId, BackendStatus] = Bounded(_NOTES)

    def reserve(self, backend_id: BackendId, status: BackendStatus) -> BackendStatus:
        """Those of the times that the caller has to note: until they are dropped, nobody else has to."""
        with self._lock:
            due = self.due(self._last.get(backend_id, NOTHING), status)
            if due != NOTHING:
                self._add(backend_id, due)
        return due

    def due(self, last: BackendStatus, status: BackendStatus) -> BackendStatus:
        """Those of the times that are to be noted after the last ones: not those that are hardly later."""
        return BackendStatus(*map(self._unless_noted, last, status))

    def _unless_noted(self, last: datetime | None, moment: datetime | None) -> datetime | None:
        is_noted = moment is not None and last is not None and moment < last + self._spacing
        return None if is_noted else moment

    def add(self, backend_id: BackendId, status: BackendStatus) -> None:
        """These times have been noted."""
        with self._lock:
            self._add(backend_id, status)

    def _add(self, backend_id: BackendId, status: BackendStatus) -> None:
        last = self._last.get(backend_id, NOTHING)
        self._last[backend_id] = BackendStatus(*(new or old for new, old in zip(status, last, strict=True)))

    def drop(self, backend_id: BackendId) -> None:
        """Nothing of this backend has been noted."""
        with self._lock:
            self._last.pop(backend_id, None)
