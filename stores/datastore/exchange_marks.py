"""Where exchanges in Datastore stand, many in one call."""

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Final

from broker.errors import StoreUnavailable
from broker.model import State
from broker.waiting import ExchangeKey, Key
from stores.datastore.conditional import Datastore
from stores.datastore.exchange_records import Layout, Record
from stores.datastore.recent_records import RecentRecords

_AT_ONCE: Final = 16
"""A look-up brings each with its inline bytes, and several threads may look at a time."""

_GONE: Final = "gone"


class ExchangeMarks:
    """`Marks` of exchanges alone."""

    def __init__(self, datastore_: Datastore, layout: Layout, recent: RecentRecords) -> None:
        self._datastore = datastore_
        self._layout = layout
        self._recent = recent

    def read(self, keys: Collection[Key]) -> Mapping[Key, Hashable] | None:
        """None when Datastore does not answer."""
        exchanges = [key for key in keys if isinstance(key, ExchangeKey)]
        marks: dict[Key, Hashable] = {}
        try:
            for start in range(0, len(exchanges), _AT_ONCE):
                marks |= self._read(exchanges[start : start + _AT_ONCE])
        except StoreUnavailable:
            return None
        return marks

    def _read(self, keys: Collection[ExchangeKey]) -> dict[Key, Hashable]:
        wanted = {self._layout.key(key.request_id): key for key in keys}
        found = self._datastore.lookup(list(wanted))
        return {key: _mark(self._layout.record(found.get(name))) for name, key in wanted.items()}

    def tell(self, learn: Callable[[Key, Hashable], None]) -> None:
        """From now on say of each exchange where it stands when this process reads or writes it."""
        self._recent.tell = lambda record: learn(ExchangeKey(record.exchange.request_id), _mark(record))


def _mark(record: Record | None) -> Hashable:
    """What somebody may wait for; that it is offered or fetched is none of that."""
    if record is None:
        return _GONE
    request, answer = record.request, record.answer
    return request.end, request.ended, answer.end, answer.ended, record.exchange.state is State.FAILED
