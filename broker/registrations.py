"""Where registrations outlive a process whose store keeps them in memory: the port, and two that need no file."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from broker.errors import FixedBackend
from broker.model import Backend
from wire.protocol import BackendId


@dataclass(frozen=True, slots=True)
class Registered:
    """A backend as it was kept, and when it was used last."""

    backend: Backend
    last_used: datetime | None = None


class Registrations(Protocol):
    """A store reads them once, and tells of each change before it counts. Safe to call from several threads."""

    def load(self) -> list[Registered]:
        """All that are kept, in any order. Raises `StoreUnavailable`."""
        ...

    def put(self, backend: Backend) -> None:
        """Keep a backend, in place of one with the same ID. Raises `StoreUnavailable`, and `FixedBackend` for one that
        is not ours to change."""
        ...

    def delete(self, backend_id: BackendId) -> None:
        """Keep a backend no more; one that is not there does not matter. Raises as `put` does."""
        ...

    def note_used(self, backend_id: BackendId, used: datetime) -> None:
        """It was used then. Nothing depends on it: it may be skipped, never waits and never raises."""
        ...

    def close(self) -> None:
        """Let go of what is open; nothing is called after it."""
        ...


class Forgotten:
    """Keeps nothing: when the process ends, all registrations are gone."""

    def load(self) -> list[Registered]:
        return []

    def put(self, backend: Backend) -> None:
        pass

    def delete(self, backend_id: BackendId) -> None:
        pass

    def note_used(self, backend_id: BackendId, used: datetime) -> None:
        pass

    def close(self) -> None:
        pass


class WithFixed:
    """Some backends that settings list, which nobody changes, and beside them others that are kept elsewhere."""

    def __init__(self, fixed: Iterable[Backend], others: Registrations) -> None:
        self._fixed = {backend.backend_id: backend for backend in fixed}
        self._others = others

    def load(self) -> list[Registered]:
        """Of two with the same ID the one in the settings counts; the other comes back when that is taken out."""
        kept = {each.backend.backend_id: each for each in self._others.load()}
        fixed = {
            backend_id: Registered(backend, kept[backend_id].last_used if backend_id in kept else None)
            for backend_id, backend in self._fixed.items()
        }
        return list((kept | fixed).values())

    def put(self, backend: Backend) -> None:
        self._require_ours(backend.backend_id)
        self._others.put(backend)

    def delete(self, backend_id: BackendId) -> None:
        self._require_ours(backend_id)
        self._others.delete(backend_id)

    def note_used(self, backend_id: BackendId, used: datetime) -> None:
        self._others.note_used(backend_id, used)

    def close(self) -> None:
        self._others.close()

    def _require_ours(self, backend_id: BackendId) -> None:
        if backend_id in self._fixed:
            raise FixedBackend(f"backend {backend_id!r} stands in the settings of the proxy")
