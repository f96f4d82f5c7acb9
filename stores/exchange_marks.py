"""Where exchanges in Datastore stand, many in one call, their bytes unread."""

from collections.abc import Collection, Hashable, Mapping
from typing import Final

from broker.errors import StoreUnavailable
from broker.model import State
from broker.waiting import ExchangeKey, Key
from stores.conditional import Datastore
from stores.exchange_records import Layout, Record, record_of

_GONE: Final = "gone"


class ExchangeMarks:
    """`Marks` of exchanges alone. Nothing is said of one that waits for an agent or for its answer."""

    def __init__(self, datastore_: Datastore, layout: Layout) -> None:
        self._datastore = datastore_
        self._layout = layout

    def read(self, keys: Collection[Key]) -> Mapping[Key, Hashable] | None:
        """One look-up. None when Datastore does not answer."""
        wanted = {self._layout.key(key.request_id): key for key in keys if isinstance(key, ExchangeKey)}
        try:
            found = self._datastore.lookup(list(wanted))
        except StoreUnavailable:
            return None
        marks = {key: _mark(record_of(found[name])) if name in found else _GONE for name, key in wanted.items()}
        return {key: mark for key, mark in marks.items() if mark is not None}


def _mark(record: Record) -> Hashable | None:
    answer, request = record.answer, record.request
    is_failed = record.exchange.state is State.FAILED
    if request.ended and not (answer.end or answer.ended or is_failed):
        return None
    return request.end, request.ended, answer.end, answer.ended, is_failed
