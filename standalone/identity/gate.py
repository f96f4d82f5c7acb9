"""Which agents may serve which backend."""

from collections.abc import Awaitable, Callable

from broker.errors import UnknownBackend
from broker.model import Backend
from broker.store import Store
from edge.identity import Caller, is_agent_of, require_agent
from standalone.identity.accounts import Accounts, Proof
from standalone.rights import always
from wire.protocol import BackendId

Gate = Callable[[Caller, BackendId], Awaitable[Proof]]
"""Who serves a backend, and whether he still may. Raises `NotAllowed` for whoever may not, and what `Accounts.prove`
does."""


async def open_gate(caller: Caller, backend_id: BackendId) -> Proof:
    """Everybody may serve everything."""
    return Proof("", always)


def guarded_gate(accounts: Accounts, store: Store) -> Gate:
    """A backend is served by the account that it is registered for, and no other."""

    async def require(caller: Caller, backend_id: BackendId) -> Proof:
        proof = await accounts.prove(caller)
        require_agent(_find(store, backend_id), proof.account)
        return proof._replace(holds=lambda: proof.holds() and is_agent_of(_find(store, backend_id), proof.account))

    return require


def _find(store: Store, backend_id: BackendId) -> Backend | None:
    try:
        return store.get_backend(backend_id)
    except UnknownBackend:
        return None
