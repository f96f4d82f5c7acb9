"""What a process remembers of the registrations for a short time; both memories are bounded."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Final, Generic, TypeVar

from broker.model import BackendStatus
from broker.policy import Policy
from wire.protocol import BackendId

_VALUES: Final = 1_000
_NOTES: Final = 10_000

NOTHING: Final = BackendStatus()

_RENEWED_AT: Final = 0.8
"""Of its age."""

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class _Read(Generic[V]):
    value: V
    at: float
    is_renewed: bool = False
    """True once somebody has been sent to read it again."""


class Lately(Generic[K, V]):
    """What was read within `policy.backends_age`: emptied by every change of our own.

    Somebody is sent to read it again a little before it is too old, so that not all who ask for it go at once.
    """

    def __init__(self, policy: Policy, monotonic: Callable[[], float]) -> None:
        self._age = policy.backends_age.total_seconds()
        self._monotonic = monotonic
        self._lock = Lock()  # guards the two below
        self._values: dict[K, _Read[V]] = {}
        self._changes = 0

    def ticket(self) -> int:
        """Taken before reading what `put` will remember: nothing is remembered across a change."""
        with self._lock:
            return self._changes

    def get(self, key: K) -> V | None:
        """What was read lately, or None: then it is to be read, and put here."""
        now = self._monotonic()
        with self._lock:
            read = self._values.get(key)
            if read is None or now - read.at >= self._age:
                return None
            if now - read.at >= self._age * _RENEWED_AT and not read.is_renewed:
                read.is_renewed = True
                return None
            return read.value

    def put(self, key: K, value: V, *, ticket: int) -> None:
        """Remember what was read."""
        with self._lock:
            if ticket == self._changes:
                if len(self._values) >= _VALUES:
                    self._values.clear()
                self._values[key] = _Read(value, self._monotonic())

    def drop(self, key: K) -> None:
        """One of them has changed."""
        with self._lock:
            self._changes += 1
            self._values.pop(key, None)

    def clear(self) -> None:
        """Something has changed."""
        with self._lock:
            self._changes += 1
            self._values.clear()


class Notes:
    """When something was noted last, by this process or by another of whose note it has read."""

    def __init__(self, policy: Policy) -> None:
        self._spacing = policy.touch_spacing
        self._lock = Lock()  # guards the map
        self._last: dict[BackendId, BackendStatus] = {}

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
        if len(self._last) >= _NOTES:
            self._last.clear()
        last = self._last.get(backend_id, NOTHING)
        self._last[backend_id] = BackendStatus(*(new or old for new, old in zip(status, last, strict=True)))

    def drop(self, backend_id: BackendId) -> None:
        """Nothing of this backend has been noted."""
        with self._lock:
            self._last.pop(backend_id, None)
