"""The registrations and statuses of backends in Datastore, as models of ndb.

    backend/ID         kind, key and properties of the original (google/inverting-proxy, `app/types.go`): what it wrote
                       is read, and it could read what is written here. `Hosts` and `Options` are ours, and are written
                       only where a registration has them: the original refuses to read what it does not know
    backendStatus/ID   ours: when it was polled and used last

Each is asked for at every request and changes rarely, so what was read is used again for a second. Only what is there
is remembered, never that something is not.
"""

import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

from google.cloud import ndb
from grpc import StatusCode

from broker.errors import UnknownBackend
from broker.model import Backend, BackendStatus
from broker.policy import Policy
from broker.routing import end_users_serving
from stores.calls import CONTENDED, INTERRUPTED, repeat
from stores.lately import Lately, Notes
from stores.options import decode_options, encode_options
from stores.session import session
from wire.protocol import BackendId

T = TypeVar("T")

_HOSTS: Final = "Hosts"
_OPTIONS: Final = "Options"


class _Backend(ndb.Expando):
    """A registration. Properties that are not named here are not written unless they are given."""

    _default_indexed = False

    backend_id = ndb.StringProperty("BackendID")
    backend_user = ndb.StringProperty("BackendUser")
    end_user = ndb.StringProperty("EndUser")
    path_prefixes = ndb.StringProperty("PathPrefixes", repeated=True)
    last_used = ndb.StringProperty("LastUsed", default="")

    @classmethod
    def _get_kind(cls) -> str:
        return "backend"


class _Status(ndb.Model):
    """What happened to a backend lately."""

    polled = ndb.DateTimeProperty(indexed=False, tzinfo=UTC)
    used = ndb.DateTimeProperty(indexed=False, tzinfo=UTC)

    @classmethod
    def _get_kind(cls) -> str:
        return "backendStatus"


class Registrations:
    """The half of the store that is about backends."""

    def __init__(self, client: ndb.Client, policy: Policy, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._found: Lately[str, list[Backend]] = Lately(monotonic)
        self._backends: Lately[BackendId, Backend] = Lately(monotonic)
        self._statuses: Lately[BackendId, BackendStatus] = Lately(monotonic)
        self._notes = Notes(policy)

    def put(self, backend: Backend) -> None:
        """Register or replace."""

        def write() -> None:
            _Backend(
                id=backend.backend_id,
                backend_id=backend.backend_id,
                backend_user=backend.backend_user,
                end_user=backend.end_user,
                path_prefixes=list(backend.path_prefixes),
                **_our_properties(backend),
            ).put()

        self._run(write, repeatable=CONTENDED)
        self._forget(backend.backend_id)

    def get(self, backend_id: BackendId) -> Backend:
        """One of them. Raises `UnknownBackend`."""
        backend = self._backends.get(backend_id)
        if backend is None:
            ticket = self._backends.ticket()
            backend = self._run(lambda: _backend_of(_registered(backend_id)))
            self._backends.put(backend_id, backend, ticket=ticket)
        return backend

    def list_all(self) -> list[Backend]:
        """All of them, by ID."""
        return sorted(self._run(_query), key=lambda backend: backend.backend_id)

    def find(self, end_user: str) -> list[Backend]:
        """Those that serve a user. One query for each spelling, made at once: the emulator has no IN."""
        backends = self._found.get(end_user)
        if backends is None:
            ticket = self._found.ticket()
            end_users = sorted(end_users_serving(end_user))
            backends = self._run(lambda: _query(_Backend.end_user.IN(end_users)))
            if backends:
                self._found.put(end_user, backends, ticket=ticket)
        return list(backends)

    def delete(self, backend_id: BackendId) -> None:
        """Remove a registration and its status. Raises `UnknownBackend`."""

        def remove() -> None:
            ndb.delete_multi([_registered(backend_id).key, _status_key(backend_id)])

        # Not where it may have been done already: the second time, there would be no such backend.
        self._run(lambda: ndb.transaction(remove, retries=0), repeatable=CONTENDED)
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

        def note() -> None:
            backend, status = ndb.get_multi([_backend_key(backend_id), _status_key(backend_id)])
            old = _status_of(status)
            polled, used = _later(old.last_polled, new.last_polled), _later(old.last_used, new.last_used)
            if backend is not None and (polled, used) != (old.last_polled, old.last_used):
                _Status(id=backend_id, polled=polled, used=used).put()

        self._run(lambda: ndb.transaction(note, retries=0))
        self._statuses.clear()
        self._notes.add(backend_id, new)

    def statuses(self, backend_ids: Collection[BackendId]) -> dict[BackendId, BackendStatus]:
        """What is known of these."""
        known = {backend_id: status for backend_id in backend_ids if (status := self._statuses.get(backend_id))}
        wanted = [backend_id for backend_id in backend_ids if backend_id not in known]
        if wanted:
            ticket = self._statuses.ticket()
            for backend_id, status in self._run(lambda: _read_statuses(wanted)).items():
                known[backend_id] = status
                self._statuses.put(backend_id, status, ticket=ticket)
        return known

    def _run(self, act: Callable[[], T], *, repeatable: frozenset[StatusCode] = INTERRUPTED) -> T:
        """What `act` returns, from a session of its own for each attempt."""

        def once() -> T:
            with session(self._client):
                return act()

        return repeat(once, after=repeatable)

    def _forget(self, backend_id: BackendId) -> None:
        self._found.clear()
        self._backends.clear()
        self._statuses.clear()
        self._notes.drop(backend_id)


# Called in a session


def _backend_key(backend_id: BackendId) -> ndb.Key:
    return ndb.Key(_Backend, backend_id)


def _status_key(backend_id: BackendId) -> ndb.Key:
    return ndb.Key(_Status, backend_id)


def _registered(backend_id: BackendId) -> _Backend:
    found: _Backend | None = _backend_key(backend_id).get()
    if found is None:
        raise UnknownBackend(f"no backend {backend_id!r} is registered")
    return found


def _query(*filters: ndb.FilterNode) -> list[Backend]:
    # Without retries: where queries are made at once, those of ndb take each other's errors for their own.
    return [_backend_of(found) for found in _Backend.query(*filters).fetch(retries=0)]


def _read_statuses(backend_ids: list[BackendId]) -> dict[BackendId, BackendStatus]:
    found = ndb.get_multi([_status_key(backend_id) for backend_id in backend_ids])
    return {
        backend_id: _status_of(status)
        for backend_id, status in zip(backend_ids, found, strict=True)
        if status is not None
    }


def _backend_of(found: _Backend) -> Backend:
    return Backend(
        backend_id=BackendId(found.key.id()),
        backend_user=found.backend_user or "",
        end_user=found.end_user or "",
        path_prefixes=tuple(found.path_prefixes),
        hosts=tuple(getattr(found, _HOSTS, ())),
        options=decode_options(getattr(found, _OPTIONS, "")),
    )


def _our_properties(backend: Backend) -> dict[str, Sequence[str]]:
    ours: dict[str, Sequence[str]] = {_HOSTS: list(backend.hosts), _OPTIONS: encode_options(backend.options)}
    return {name: value for name, value in ours.items() if value}


def _status_of(found: _Status | None) -> BackendStatus:
    return BackendStatus() if found is None else BackendStatus(last_polled=found.polled, last_used=found.used)


def _later(old: datetime | None, new: datetime | None) -> datetime | None:
    return max((moment for moment in (old, new) if moment is not None), default=None)
