"""The store of the services, which all processes share, and the waiter that goes with it."""

from broker.policy import Policy
from stores.datastore import DatastoreStore
from stores.shared_waiter import SharedWaiter
from stores.telling import TellingStore


def with_waiter(store: DatastoreStore, policy: Policy) -> tuple[TellingStore, SharedWaiter]:
    """What this process has of the store, and its way to wait over it."""
    waiter = SharedWaiter(policy, store_marks=store.marks)
    return TellingStore(store, tell=waiter.wake, tell_here=waiter.wake, expect_here=waiter.expect), waiter
