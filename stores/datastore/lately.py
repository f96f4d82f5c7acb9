"""What a process remembers of the registrations for a short time."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final, Generic, TypeVar

from broker.bounded import Bounded
from broker.policy import Policy

_VALUES: Final = 1_000

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
        self._values: Bounded[K, _Read[V]] = Bounded(_VALUES)
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
