"""How exchanges leave Datastore in numbers: with their backend, or because nobody waits for them any more.

Page by page, none of more than a few hundred entities or a few megabytes, so that neither memory nor the time of a call
grows with what is there; every page is over and done with when the next is asked for.
"""

import itertools
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from google.cloud import datastore

from stores.datastore import exchange_records as records
from stores.datastore.conditional import EQUAL, Datastore, Versioned, delete
from stores.datastore.exchange_records import EXCHANGE, Layout
from stores.datastore.recent_records import RecentRecords
from wire.protocol import BackendId

PAGE: Final = 150
"""Exchanges with their inline bytes, 10 MB at most: in the service that sweeps there is nothing else to hold."""


class Removal:
    """What removes many exchanges."""

    def __init__(self, datastore_: Datastore, layout: Layout, recent: RecentRecords) -> None:
        self._datastore = datastore_
        self._layout = layout
        self._recent = recent

    def of_backend(self, backend_id: BackendId) -> None:
        """Remove the exchanges of a backend, with their bytes."""
        for page in self._datastore.query(EXCHANGE, (records.BACKEND, EQUAL, backend_id), page=PAGE):
            keys = [found.entity.key for found in page]
            parts = itertools.chain.from_iterable(map(self._layout.part_keys, self._layout.records(page)))
            self._datastore.commit_each([delete(key) for key in (*keys, *parts)])
            for key in keys:
                self._recent.drop(records.request_id_of(key))

    def of_expired(self, *, now: datetime, is_over: Callable[[], bool]) -> int:
        """The sweep: how many exchanges went. What is left when the time `is_over`, the next one finds."""
        swept = 0
        for went in self._pages(now):
            swept += went
            if is_over():
                break
        return swept

    def _pages(self, now: datetime) -> Iterator[int]:
        """How many exchanges each page of the sweep took."""
        for page in self._datastore.query(EXCHANGE, page=PAGE):
            yield self._remove_expired(page, now)
        for page in self._datastore.query(records.LOST_POLL):
            self._datastore.commit_each([delete(found.entity.key) for found in page if _has_expired(found, now)])
            yield 0
        for kind in records.PART_KINDS:
            # Of as many exchanges at most.
            for page in self._datastore.query(kind, keys_only=True, page=PAGE):
                self._remove_orphans([found.entity.key for found in page])
                yield 0

    def _remove_expired(self, page: list[Versioned], now: datetime) -> int:
        """Those that nobody has prolonged meanwhile. Only their date is looked at, so that an entity goes that another
        version wrote, and one that has none."""
        expired = [found for found in page if _has_expired(found, now)]
        gone = self._datastore.commit_each([delete(found.entity.key, found.version) for found in expired])
        for found in expired:
            self._recent.drop(records.request_id_of(found.entity.key))
        return len(gone) - gone.count(None)

    def _remove_orphans(self, keys: list[datastore.Key]) -> None:
        """Remove the parts that belong to no exchange: where there is none, there never will be one again."""
        living = self._datastore.lookup(list({key.parent for key in keys}))
        self._datastore.commit_each([delete(key) for key in keys if key.parent not in living])


def _has_expired(found: Versioned, now: datetime) -> bool:
    """What has no date, or something else in its place, nobody wants."""
    expires = found.entity.get(records.EXPIRES)
    return not isinstance(expires, datetime) or expires <= now
