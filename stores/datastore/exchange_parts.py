"""The bytes of exchanges on their way to Datastore and back: parts that belong together beside one another, and of all
that a process has to do few at a time.

A call holds its bytes about four times, until they are in the socket or joined: with as many such calls as there are
threads, an instance would have no memory left, and each call too little of the network to be over in time.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Final

from google.cloud import datastore
from google.cloud.datastore_v1.types import datastore as api

from broker.errors import StoreUnavailable
from stores.datastore.conditional import Datastore, Versioned, put

AT_ONCE: Final = 8
"""Calls with many bytes, in one process."""

MANY_BYTES: Final = 256_000
"""Calls with fewer wait for no turn."""

_PATIENCE: Final = 30.0
"""Seconds for a turn to come: as long as a silence within a body may last."""


class PartCalls:
    """The calls that carry parts. Each raises `StoreUnavailable`, also where its turn does not come."""

    def __init__(self, datastore_: Datastore) -> None:
        self._datastore = datastore_
        self._turns = BoundedSemaphore(AT_ONCE)
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="parts")

    def read(self, keys: Sequence[datastore.Key], *, size: int) -> Mapping[datastore.Key, Versioned]:
        """What is there of these; at most `size` bytes of parts are expected."""
        with self._turn(size):
            return self._datastore.lookup(keys)

    def write(self, state: api.Mutation, parts: Sequence[datastore.Entity], *, written: set[datastore.Key]) -> int:
        """Write parts and the state that names them, and return the state's new version. Raises `Conflict`.

        One part is in one commit with the state. Several are written before it, so that who sees it finds them; if it
        is never written, nobody knows of them, and they go with the exchange or by the sweep. `written` is what earlier
        attempts have written, which after a conflict is not written again; what this one writes is added.
        """
        if len(parts) > 1:
            missing = [part for part in parts if part.key not in written]
            for _ in self._pool.map(self._write_one, missing):
                pass
            written.update(part.key for part in missing)
            return self._datastore.commit([state])[0]
        with self._turn(len(parts[0]["data"])):
            return self._datastore.commit([state, put(parts[0])])[0]

    def _write_one(self, part: datastore.Entity) -> None:
        with self._turn(len(part["data"])):
            self._datastore.commit_each([put(part)])

    @contextmanager
    def _turn(self, size: int) -> Iterator[None]:
        if size < MANY_BYTES:
            yield
            return
        if not self._turns.acquire(timeout=_PATIENCE):
            raise StoreUnavailable("Datastore: too many bytes are on their way")
        try:
            yield
        finally:
            self._turns.release()
