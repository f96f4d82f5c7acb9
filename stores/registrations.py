"""The registrations and statuses of backends in Datastore.

    backend/ID         kind, key and properties of the original (google/inverting-proxy, `app/types.go`), nothing more:
                       what it wrote is read, and it could read what is written here
    backendStatus/ID   ours: when it was polled and used last

Each is asked for at every request and changes rarely, so what was read is used again for a second. Only what is there
is remembered, never that something is not.
"""

import time
from collections.abc import Callable, Collection
from datetime import datetime
from threading import Lock
from typing import Final, Generic, TypeVar

from google.cloud import datastore
from google.cloud.datastore_v1.types import datastore as api

from broker.errors import UnknownBackend
from broker.model import ALL_USERS, Backend, BackendStatus
from broker.policy import Policy
from stores.conditional import Datastore, Versioned, delete, put
from wire.protocol import BackendId

BACKEND: Final = "backend"
STATUS: Final = "backendStatus"

MEMORY_SECONDS: Final = 1.0
_CAPACITY: Final = 10_000

K = TypeVar("K")
V = TypeVar("V")


class _Lately(Generic[K, V]):
    """What was read within the last second: bounded, and emptied by every change of our own."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = Lock()  # guards the two below
        self._values: dict[K, tuple[float, V]] = {}
        self._changes = 0

    def ticket(self) -> int:
        """Taken before reading what `put` will remember: nothing is remembered across a change."""
        with self._lock:
            return self._changes

    def get(self, key: K) -> V | None:
        """What was read lately, or None."""
        with self._lock:
            at, value = self._values.get(key, (None, None))
        return value if at is not None and self._monotonic() - at < MEMORY_SECONDS else None

    def put(self, key: K, value: V, *, ticket: int) -> None:
        """Remember what was read."""
        with self._lock:
            if ticket == self._changes:
                if len(self._values) >= _CAPACITY:
                    self._values.clear()
                self._values[key] = (self._monotonic(), value)

    def clear(self) -> None:
        """Something has changed."""
        with self._lock:
            self._changes += 1
            self._values.clear()


class Registrations:
    """The half of the store that is about backends."""

    def __init__(
        self, datastore_: Datastore, policy: Policy, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._datastore = datastore_
        self._policy = policy
        self._all: _Lately[None, list[Backend]] = _Lately(monotonic)
        self._backends: _Lately[BackendId, Backend] = _Lately(monotonic)
        self._statuses: _Lately[BackendId, BackendStatus] = _Lately(monotonic)
        self._notes: _Notes = _Notes(policy)

    def put(self, backend: Backend) -> None:
        """Register or replace."""
        entity = datastore.Entity(self._datastore.key(BACKEND, backend.backend_id))
        entity.update(
            BackendID=backend.backend_id,
            BackendUser=backend.backend_user,
            EndUser=backend.end_user,
            PathPrefixes=list(backend.path_prefixes),
            LastUsed="",
        )
        self._datastore.commit([put(entity)])
        self._forget(backend.backend_id)

    def get(self, backend_id: BackendId) -> Backend:
        """One of them. Raises `UnknownBackend`."""
        backend = self._backends.get(backend_id)
        if backend is None:
            ticket = self._backends.ticket()
            key = self._datastore.key(BACKEND, backend_id)
            found = self._datastore.lookup([key])
            if key not in found:
                raise _unknown(backend_id)
            backend = _backend_of(found[key])
            self._backends.put(backend_id, backend, ticket=ticket)
        return backend

    def list_all(self) -> list[Backend]:
        """All of them, by ID."""
        ticket = self._all.ticket()
        backends = sorted(
            (_backend_of(found) for page in self._datastore.query(BACKEND) for found in page),
            key=lambda backend: backend.backend_id,
        )
        self._all.put(None, backends, ticket=ticket)
        return backends

    def find(self, end_user: str) -> list[Backend]:
        """Those of a user and of all. All registrations are looked at: addresses differ in case, which no index of the
        original's properties can overlook."""
        return _of_user(self._all.get(None) or [], end_user) or _of_user(self.list_all(), end_user)

    def delete(self, backend_id: BackendId) -> None:
        """Remove a registration and its status. Raises `UnknownBackend`."""
        backend_key, status_key = self._keys(backend_id)
        if backend_key not in self._datastore.lookup([backend_key]):
            raise _unknown(backend_id)
        self._datastore.commit([delete(backend_key), delete(status_key)])
        self._forget(backend_id)

    def touch(self, backend_id: BackendId, *, polled: datetime | None, used: datetime | None) -> None:
        """Note when it was polled or used, at most once in `policy.touch_spacing` for each. A transaction, because what
        must not have changed is not what is written: the backend must still be there."""
        new = BackendStatus(
            last_polled=self._notes.unless_noted(backend_id, "polled", polled),
            last_used=self._notes.unless_noted(backend_id, "used", used),
        )
        if new == BackendStatus():
            return
        backend_key, status_key = self._keys(backend_id)

        def change(found: dict[datastore.Key, Versioned]) -> list[api.Mutation]:
            if backend_key not in found:
                return []
            old = _status_of(found.get(status_key))
            status = BackendStatus(
                last_polled=_later(old.last_polled, new.last_polled), last_used=_later(old.last_used, new.last_used)
            )
            return [put(_status_entity(status_key, status))] if status != old else []

        self._datastore.transact([backend_key, status_key], change)
        self._statuses.clear()
        self._notes.add(backend_id, new)

    def statuses(self, backend_ids: Collection[BackendId]) -> dict[BackendId, BackendStatus]:
        """What is known of these."""
        known = {backend_id: status for backend_id in backend_ids if (status := self._statuses.get(backend_id))}
        keys = {
            backend_id: self._datastore.key(STATUS, backend_id) for backend_id in backend_ids if backend_id not in known
        }
        if keys:
            ticket = self._statuses.ticket()
            found = self._datastore.lookup(list(keys.values()))
            for backend_id, key in keys.items():
                if key in found:
                    known[backend_id] = _status_of(found[key])
                    self._statuses.put(backend_id, known[backend_id], ticket=ticket)
        return known

    def _keys(self, backend_id: BackendId) -> tuple[datastore.Key, datastore.Key]:
        return self._datastore.key(BACKEND, backend_id), self._datastore.key(STATUS, backend_id)

    def _forget(self, backend_id: BackendId) -> None:
        self._all.clear()
        self._backends.clear()
        self._statuses.clear()
        self._notes.drop(backend_id)


class _Notes:
    """When this process noted something last; bounded."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._lock = Lock()  # guards the map
        self._last: dict[tuple[BackendId, str], datetime] = {}

    def unless_noted(self, backend_id: BackendId, what: str, moment: datetime | None) -> datetime | None:
        """The moment, or None when it need not be noted: not much later than the last note."""
        with self._lock:
            last = self._last.get((backend_id, what))
        is_noted = moment is not None and last is not None and moment < last + self._policy.touch_spacing
        return None if is_noted else moment

    def add(self, backend_id: BackendId, status: BackendStatus) -> None:
        """These times have been noted."""
        with self._lock:
            if len(self._last) >= _CAPACITY:
                self._last.clear()
            for what, moment in (("polled", status.last_polled), ("used", status.last_used)):
                if moment is not None:
                    self._last[backend_id, what] = moment

    def drop(self, backend_id: BackendId) -> None:
        """Nothing of this backend has been noted."""
        with self._lock:
            self._last.pop((backend_id, "polled"), None)
            self._last.pop((backend_id, "used"), None)


def _of_user(backends: Collection[Backend], end_user: str) -> list[Backend]:
    return [
        backend
        for backend in backends
        if backend.end_user == ALL_USERS or (end_user and backend.end_user.lower() == end_user.lower())
    ]


def _backend_of(found: Versioned) -> Backend:
    entity = found.entity
    return Backend(
        backend_id=BackendId(entity["BackendID"]),
        backend_user=entity.get("BackendUser", ""),
        end_user=entity.get("EndUser", ""),
        path_prefixes=tuple(entity.get("PathPrefixes", ())),
    )


def _status_of(found: Versioned | None) -> BackendStatus:
    if found is None:
        return BackendStatus()
    return BackendStatus(last_polled=found.entity.get("polled"), last_used=found.entity.get("used"))


def _status_entity(key: datastore.Key, status: BackendStatus) -> datastore.Entity:
    entity = datastore.Entity(key, exclude_from_indexes=("polled", "used"))
    times = {"polled": status.last_polled, "used": status.last_used}
    entity.update({name: moment for name, moment in times.items() if moment is not None})
    return entity


def _later(old: datetime | None, new: datetime | None) -> datetime | None:
    return max((moment for moment in (old, new) if moment is not None), default=None)


def _unknown(backend_id: BackendId) -> UnknownBackend:
    return UnknownBackend(f"no backend {backend_id!r} is registered")
