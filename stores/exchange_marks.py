"""Where exchanges in Datastore stand, many in one call, their bytes unread."""

from collections.abc import Collection, Hashable, Mapping
from typing import Final

from broker.errors import StoreUnavailable
from broker.model import Exchange, State
from broker.waiting import ExchangeKey, Key
from stores.conditional import Datastore
from stores.exchange_records import Layout, RecentRecords, Record, record_of

_GONE: Final = "gone"


class ExchangeMarks:
    """`Marks` of exchanges alone. Nothing is said of one that has not moved since this process had to do with it."""

    def __init__(self, datastore_: Datastore, layout: Layout, recent: RecentRecords) -> None:
        self._datastore = datastore_
        self._layout = layout
        self._recent = recent

    def read(self, keys: Collection[Key]) -> Mapping[Key, Hashable] | None:
        """One look-up. None when Datastore does not answer."""
        wanted = {self._layout.key(key.request_id): key for key in keys if isinstance(key, ExchangeKey)}
        try:
            found = self._datastore.lookup(list(wanted))
        except StoreUnavailable:
            return None
        marks: dict[Key, Hashable] = {}
        for name, key in wanted.items():
            record = record_of(found[name]) if name in found else None
            if record is None:
                marks[key] = _GONE
            elif (mark := _mark(record)) != self._remembered(record.exchange):
                marks[key] = mark
        return marks

    def _remembered(self, exchange: Exchange) -> Hashable | None:
        record = self._recent.get(exchange.backend_id, exchange.request_id)
        return _mark(record) if record is not None else None


def _mark(record: Record) -> Hashable:
    """What somebody may wait for; that it is offered or fetched is none of that."""
    request, answer = record.request, record.answer
    return request.end, request.ended, answer.end, answer.ended, record.exchange.state is State.FAILED
