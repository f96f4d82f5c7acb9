"""The store of the services, which all processes share, and the waiter that goes with it."""

from broker.policy import Policy
from broker.waiting import Key
from stores.datastore import DatastoreStore
from stores.hints import Hints
from stores.memcached import Memcached
from stores.shared_waiter import SharedWaiter
from stores.telling import TellingStore


def choose_hints(server: tuple[str, int] | None, *, is_bundled: bool, namespace: str) -> Hints | None:
    """The hints in a memcached server, or else in the memcache that App Engine has bundled, if that is there."""
    if server is not None:
        return Hints(Memcached(*server), namespace=namespace)
    if not is_bundled:
        return None
    from stores.appengine_memcache import AppEngineMemcache  # slow to import: App Engine's SDK

    return Hints(AppEngineMemcache(), namespace=namespace)


def with_waiter(store: DatastoreStore, policy: Policy, hints: Hints | None = None) -> tuple[TellingStore, SharedWaiter]:
    """What this process has of the store, and its way to wait over it."""
    waiter = SharedWaiter(policy, store_marks=store.marks, hints=hints)

    def tell(key: Key) -> None:
        waiter.wake(key)
        if hints is not None:
            hints.give(key)

    return TellingStore(store, tell=tell, tell_here=waiter.wake, expect_here=waiter.expect), waiter
