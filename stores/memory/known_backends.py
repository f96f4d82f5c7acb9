"""The registrations of a store in memory: read without a lock, and kept by `Registrations` before they count."""

import threading
from collections.abc import Mapping
from typing import Final

from broker.errors import UnknownBackend
from broker.model import Backend, Options
from broker.registrations import Registered, Registrations
from broker.routing import end_users_serving
from wire.protocol import BackendId

_NONE: Final = Options()


class KnownBackends:
    """All backends, by ID and by end user, and the hosts that they name.

    They change seldom and are looked for at every request. So a change makes new maps, and who reads has one of them.
    """

    def __init__(self, registrations: Registrations) -> None:
        self.loaded: Final[list[Registered]] = registrations.load()
        """What was kept when this was made."""
        self._registrations = registrations
        self._changing = threading.Lock()  # makes one change at a time, there and here
        self._by_id: Mapping[BackendId, Backend] = {}
        self._by_user: Mapping[str, list[Backend]] = {}
        self.hosts: frozenset[str] = frozenset()
        """Those that any of them names."""
        self._replace({each.backend.backend_id: each.backend for each in self.loaded})

    def __contains__(self, backend_id: BackendId) -> bool:
        return backend_id in self._by_id

    def put(self, backend: Backend) -> None:
        """Register, or replace. Raises as `Registrations.put` does."""
        with self._changing:
            self._registrations.put(backend)
            self._replace({**self._by_id, backend.backend_id: backend})

    def delete(self, backend_id: BackendId) -> None:
        """Remove. Raises `UnknownBackend`, and as `Registrations.delete` does."""
        with self._changing:
            self.get(backend_id)
            self._registrations.delete(backend_id)
            self._replace({name: backend for name, backend in self._by_id.items() if name != backend_id})

    def get(self, backend_id: BackendId) -> Backend:
        """One of them. Raises `UnknownBackend`."""
        try:
            return self._by_id[backend_id]
        except KeyError:
            raise UnknownBackend(f"no backend {backend_id!r} is registered") from None

    def options_of(self, backend_id: BackendId) -> Options:
        """The options of a backend, those of none where it is not registered."""
        backend = self._by_id.get(backend_id)
        return backend.options if backend else _NONE

    def list_all(self) -> list[Backend]:
        """All of them, by ID."""
        by_id = self._by_id
        return [by_id[backend_id] for backend_id in sorted(by_id)]

    def find(self, end_user: str) -> list[Backend]:
        """Those that serve a user."""
        by_user = self._by_user
        return [backend for name in end_users_serving(end_user) for backend in by_user.get(name, ())]

    def _replace(self, by_id: Mapping[BackendId, Backend]) -> None:
        by_user: dict[str, list[Backend]] = {}
        for backend in by_id.values():
            by_user.setdefault(backend.end_user, []).append(backend)
        self._by_id, self._by_user = by_id, by_user
        self.hosts = frozenset(host for backend in by_id.values() for host in backend.hosts)
