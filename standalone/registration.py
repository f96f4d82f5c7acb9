"""Open mode: any backend that an agent names exists, and serves everybody, everywhere."""

from datetime import UTC, datetime
from typing import Final

from broker.errors import Overloaded, UnknownBackend
from broker.model import ALL_USERS, Backend
from broker.policy import Policy
from broker.routing import is_online
from broker.store import Store
from broker.waiting import Clock
from wire.errors import MalformedMessage
from wire.protocol import BACKEND_ID, BackendId, is_valid_backend_id

LIMIT: Final = 100
"""The most backends at a time: without passwords anybody may name one."""

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class OpenRegistration:
    """Registers a backend when an agent first polls for it; the longest offline makes room for a new one."""

    def __init__(self, store: Store, clock: Clock, policy: Policy, *, limit: int = LIMIT) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy
        self._limit = limit

    def register(self, text: str) -> BackendId:
        """The backend of this name, which exists from here on. Raises `MalformedMessage`, and `Overloaded` when as
        many as are allowed are online."""
        if not is_valid_backend_id(text):
            raise MalformedMessage(f"{BACKEND_ID}: not the name of a backend")
        backend_id = BackendId(text)
        try:
            self._store.get_backend(backend_id)
        except UnknownBackend:
            self._make_room()
            self._store.put_backend(
                Backend(backend_id=backend_id, backend_user="", end_user=ALL_USERS, path_prefixes=("/",))
            )
        return backend_id

    def _make_room(self) -> None:
        backend_ids = [backend.backend_id for backend in self._store.list_backends()]
        if len(backend_ids) < self._limit:
            return
        statuses = self._store.get_statuses(backend_ids)
        now = self._clock.now()
        offline = [name for name in backend_ids if not is_online(statuses.get(name), now=now, policy=self._policy)]
        if not offline:
            raise Overloaded(f"{self._limit} backends are online already")

        def last_polled(backend_id: BackendId) -> datetime:
            status = statuses.get(backend_id)
            return (status and status.last_polled) or _NEVER

        self._store.delete_backend(min(offline, key=last_polled))
