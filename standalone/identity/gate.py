"""Which agents may serve which backend."""

from collections.abc import Awaitable, Callable

from broker.errors import UnknownBackend
from broker.model import Backend
from broker.store import Store
from edge.identity import Caller, require_agent
from standalone.identity.accounts import Accounts
from wire.protocol import BackendId

Gate = Callable[[Caller, BackendId], Awaitable[None]]
"""Raises `NotAllowed` for whoever may not serve a backend, and what `Accounts.account` does."""


async def open_gate(caller: Caller, backend_id: BackendId) -> None:
    """Everybody may serve everything."""


def guarded_gate(accounts: Accounts, store: Store) -> Gate:
    """A backend is served by the account that it is registered for, and no other."""

    async def require(caller: Caller, backend_id: BackendId) -> None:
        require_agent(_find(store, backend_id), await accounts.account(caller))

    return require


def _find(store: Store, backend_id: BackendId) -> Backend | None:
    try:
        return store.get_backend(backend_id)
    except UnknownBackend:
        return None
