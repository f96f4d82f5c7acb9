"""The registrations and statuses of backends in Datastore.

    backend/ID         kind, key and properties of the original (google/inverting-proxy, `app/types.go`): what it wrote
                       is read, and it could read what is written here. `Hosts` and `Options` are ours, and are written
                       only where a registration has them: the original refuses to read what it does not know
    backendStatus/ID   ours: when it was polled and used last

Each is asked for at every request and changes rarely, so what was read is used again for `policy.backends_age`. That
nothing serves a user, or is known of a backend, is never said from memory.
"""

import logging
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final

from google.cloud import datastore

from broker.errors import StoreUnavailable, UnknownBackend
from broker.model import Backend, BackendStatus
from broker.policy import Policy
from broker.routing import end_users_serving
from stores.datastore.calls import ATTEMPTS, TIMEOUT, pause
from stores.datastore.conditional import EQUAL, Conflict, Datastore, Filter, Versioned, delete, insert, put, replace
from stores.datastore.lately import Lately
from stores.datastore.notes import NOTHING, Notes
from stores.options import decode_options, encode_options
from wire.protocol import BackendId

logger = logging.getLogger(__name__)

_BACKEND: Final = "backend"
_STATUS: Final = "backendStatus"
_END_USER: Final = "EndUser"
_HOSTS: Final = "Hosts"
_OPTIONS: Final = "Options"
_POLLED: Final = "polled"
_USED: Final = "used"

_QUERIES: Final = 8
"""How many are made at once."""


class Registrations:
    """The half of the store that is about backends."""

    def __init__(
        self, datastore_: Datastore, policy: Policy, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._datastore = datastore_
        self._found: Lately[str, list[Backend]] = Lately(policy, monotonic)
        self._backends: Lately[BackendId, Backend] = Lately(policy, monotonic)
        self._statuses: Lately[BackendId, BackendStatus] = Lately(policy, monotonic)
        self._notes = Notes(policy)
        self._querying = ThreadPoolExecutor(_QUERIES, thread_name_prefix="registrations")

    def put(self, backend: Backend) -> None:
        """Register or replace."""
        self._datastore.commit([put(self._entity(backend))])
        self._forget(backend.backend_id)

    def get(self, backend_id: BackendId) -> Backend:
        """One of them. Raises `UnknownBackend`."""
        backend = self._backends.get(backend_id)
        if backend is None:
            ticket = self._backends.ticket()
            backend = _backend_of(self._registered(backend_id))
            self._backends.put(backend_id, backend, ticket=ticket)
        return backend

    def list_all(self) -> list[Backend]:
        """All of them, by ID."""
        return sorted(self._query(), key=lambda backend: backend.backend_id)

    def find(self, end_user: str) -> list[Backend]:
        """Those that serve a user. One query for each spelling, made at once: the emulator has no IN. What they find is
        remembered by spelling, because users share some."""
        known = {spelling: self._found.get(spelling) for spelling in end_users_serving(end_user)}
        is_served = any(known.values())
        wanted = [spelling for spelling, backends in known.items() if backends is None or not (backends or is_served)]
        if wanted:
            ticket = self._found.ticket()
            for spelling, backends in zip(wanted, self._query_each(wanted), strict=True):
                known[spelling] = backends
                self._found.put(spelling, backends, ticket=ticket)
        return [backend for backends in known.values() for backend in backends or ()]

    def _query_each(self, spellings: list[str]) -> list[list[Backend]]:
        """What is registered for each, within the time of one call: while the service is away, none queues up."""
        asked = self._querying.map(
            lambda spelling: self._query((_END_USER, EQUAL, spelling)), spellings, timeout=TIMEOUT
        )
        try:
            return list(asked)
        except TimeoutError as exc:
            raise StoreUnavailable("Datastore: more queries at a time than it answers") from exc

    def delete(self, backend_id: BackendId) -> None:
        """Remove a registration and its status. Raises `UnknownBackend`."""
        for attempt in range(ATTEMPTS):
            found = self._registered(backend_id)
            try:
                self._datastore.commit([delete(found.entity.key, found.version), delete(self._status_key(backend_id))])
            except Conflict:
                pause(attempt)
            else:
                self._forget(backend_id)
                return
        raise StoreUnavailable(f"Datastore: too much contention about the backend {backend_id!r}")

    def touch(self, backend_id: BackendId, *, polled: datetime | None, used: datetime | None) -> None:
        """Note when it was polled or used, unless this or another process has done so in `policy.touch_spacing`. Of all
        threads that come with it when it is due, one notes it; what it could not, the next one does."""
        due = self._notes.reserve(backend_id, BackendStatus(polled, used))
        if due == NOTHING:
            return
        is_noted = False
        try:
            is_noted = self._note(backend_id, due)
        finally:
            if not is_noted:
                self._notes.drop(backend_id)

    def statuses(self, backend_ids: Collection[BackendId]) -> dict[BackendId, BackendStatus]:
        """What is known of these."""
        known = {backend_id: status for backend_id in backend_ids if (status := self._statuses.get(backend_id))}
        keys = {self._status_key(backend_id): backend_id for backend_id in backend_ids if backend_id not in known}
        ticket = self._statuses.ticket()
        for key, found in self._datastore.lookup(list(keys)).items():
            status = known[keys[key]] = _status_of(found)
            self._statuses.put(keys[key], status, ticket=ticket)
        return known

    def _note(self, backend_id: BackendId, due: BackendStatus) -> bool:
        """False where it could not be noted: that others write at the same time is no reason to fail a request."""
        for attempt in range(ATTEMPTS):
            try:
                return self._try_to_note(backend_id, due)
            except Conflict:
                pause(attempt)
        logger.debug("backend %r: not noted, because others write at the same time", backend_id)
        return False

    def _try_to_note(self, backend_id: BackendId, due: BackendStatus) -> bool:
        """Raises `Conflict`: a backend that is deleted takes its status with it, and a status that was there is not
        written again. Only after the first one of all it has to be looked whether the backend is still there."""
        backend_key, status_key = self._backend_key(backend_id), self._status_key(backend_id)
        found = self._datastore.lookup([backend_key, status_key])
        if backend_key not in found:
            return False
        status = found.get(status_key)
        old = _status_of(status) if status is not None else NOTHING
        if self._notes.due(old, due) == NOTHING:
            self._notes.add(backend_id, old)
            return True
        latest = BackendStatus(*map(_later, old, due))
        entity = datastore.Entity(status_key, exclude_from_indexes=(_POLLED, _USED))
        entity.update({_POLLED: latest.last_polled, _USED: latest.last_used})
        self._datastore.commit([insert(entity) if status is None else replace(entity, status.version)])
        self._statuses.drop(backend_id)
        self._notes.add(backend_id, latest)
        if status is None and not self._datastore.lookup([backend_key]):
            self._datastore.commit([delete(status_key)])
            return False
        return True

    def _registered(self, backend_id: BackendId) -> Versioned:
        key = self._backend_key(backend_id)
        found = self._datastore.lookup([key]).get(key)
        if found is None:
            raise UnknownBackend(f"no backend {backend_id!r} is registered")
        return found

    def _query(self, *filters: Filter) -> list[Backend]:
        return [_backend_of(found) for page in self._datastore.query(_BACKEND, *filters) for found in page]

    def _backend_key(self, backend_id: BackendId) -> datastore.Key:
        return self._datastore.key(_BACKEND, backend_id)

    def _status_key(self, backend_id: BackendId) -> datastore.Key:
        return self._datastore.key(_STATUS, backend_id)

    def _entity(self, backend: Backend) -> datastore.Entity:
        entity = datastore.Entity(self._backend_key(backend.backend_id), exclude_from_indexes=(_HOSTS, _OPTIONS))
        ours: dict[str, Any] = {_HOSTS: list(backend.hosts), _OPTIONS: encode_options(backend.options)}
        entity.update(
            {
                "BackendID": backend.backend_id,
                "BackendUser": backend.backend_user,
                _END_USER: backend.end_user,
                "PathPrefixes": list(backend.path_prefixes),
                "LastUsed": "",
                **{name: value for name, value in ours.items() if value},
            }
        )
        return entity

    def _forget(self, backend_id: BackendId) -> None:
        self._found.clear()
        self._backends.drop(backend_id)
        self._statuses.drop(backend_id)
        self._notes.drop(backend_id)


def _backend_of(found: Versioned) -> Backend:
    entity = found.entity
    return Backend(
        backend_id=BackendId(entity.key.name),
        backend_user=entity.get("BackendUser") or "",
        end_user=entity.get(_END_USER) or "",
        path_prefixes=tuple(entity.get("PathPrefixes", ())),
        hosts=tuple(entity.get(_HOSTS, ())),
        options=decode_options(entity.get(_OPTIONS, "")),
    )


def _status_of(found: Versioned) -> BackendStatus:
    return BackendStatus(last_polled=found.entity.get(_POLLED), last_used=found.entity.get(_USED))


def _later(old: datetime | None, new: datetime | None) -> datetime | None:
    return max((moment for moment in (old, new) if moment is not None), default=None)
