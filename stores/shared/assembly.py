"""The store of the services, which all processes share, and the waiter that goes with it."""

import time
from collections.abc import Callable, Collection, Mapping

from broker.policy import Policy
from broker.waiting import Key, PendingKey
from stores.datastore.store import DatastoreStore
from stores.shared.hints import Hints
from stores.shared.memcached import Memcached
from stores.shared.queue_looks import QueueLooks
from stores.shared.telling import TellingStore
from stores.shared.waiter import SharedWaiter


def choose_hints(server: tuple[str, int] | None, *, is_bundled: bool, namespace: str) -> Hints | None:
    """The hints in a memcached server, or else in the memcache that App Engine has bundled, if that is there."""
    if server is not None:
        return Hints(Memcached(*server), namespace=namespace)
    if not is_bundled:
        return None
    from stores.shared.appengine_memcache import AppEngineMemcache  # slow to import: App Engine's SDK

    return Hints(AppEngineMemcache(), namespace=namespace)


def with_waiter(
    store: DatastoreStore,
    policy: Policy,
    hints: Hints | None = None,
    *,
    monotonic: Callable[[], float] = time.monotonic,
) -> tuple[TellingStore, SharedWaiter]:
    """What this process has of the store, and its way to wait over it."""
    marks = _LearningMarks(hints, store.carried.learn) if hints is not None else None
    waiter = SharedWaiter(policy, store_marks=store.marks, hints=marks, monotonic=monotonic)
    store.marks.tell(waiter.learn)
    looks = QueueLooks(
        waiter.read_hint,
        counts_for=policy.hinted_idle,
        counts_without_mark_for=policy.poll_fastest,
        names_last_for=policy.name_lease,
        monotonic=monotonic,
    )

    def tell(key: Key) -> None:
        if isinstance(key, PendingKey):
            waiter.wake(key)  # of exchanges it has learned
        if hints is not None:
            hints.give(key, store.carried.pack(key))

    return TellingStore(store, looks, tell=tell, tell_here=waiter.wake, expect_here=waiter.expect), waiter


class _LearningMarks:
    """`Marks` that hints give; what these carry is learned before anybody is woken."""

    def __init__(self, hints: Hints, learn: Callable[[Key, bytes], None]) -> None:
        self._hints = hints
        self._learn = learn

    def read(self, keys: Collection[Key]) -> Mapping[Key, bytes] | None:
        found = self._hints.read(keys)
        if found is None:
            return None
        for key, hint in found.items():
            if hint.carried:
                self._learn(key, hint.carried)
        return {key: hint.mark for key, hint in found.items()}
