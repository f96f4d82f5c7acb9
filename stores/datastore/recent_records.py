"""What a process remembers of exchanges between calls."""

from collections.abc import Callable
from threading import Lock
from typing import Final

from broker.bounded import Bounded
from stores.datastore.exchange_records import Record
from stores.datastore.exchange_streams import Side
from wire.protocol import BackendId, RequestId

_NONE: Final = None, None


class RecentRecords:
    """What this process read or wrote last of some exchanges: a guess that saves a look-up, and that the conditional
    write verifies. Bounded; safe to use from several threads."""

    def __init__(self, capacity: int = 500) -> None:
        self.tell: Callable[[Record], None] = lambda record: None
        """Called with each record that is put."""
        self._lock = Lock()  # guards the map
        self._records: Bounded[RequestId, tuple[Record, Side | None]] = Bounded(capacity)
        """Each with the stream for which it is fresh."""

    def get(self, backend_id: BackendId, request_id: RequestId) -> Record | None:
        """What is remembered of an exchange of this backend."""
        record = self.find(request_id)
        return record if record is not None and record.exchange.backend_id == backend_id else None

    def find(self, request_id: RequestId) -> Record | None:
        """What is remembered of an exchange, whosever it is."""
        with self._lock:
            record, _ = self._records.get(request_id, _NONE)
        return record

    def put(self, record: Record, *, fresh: Side | None = None) -> None:
        """Remember a record. `fresh` is the stream that whoever has just written it is going to read."""
        with self._lock:
            self._records[record.exchange.request_id] = record, fresh
        self.tell(record)

    def take_fresh(self, backend_id: BackendId, request_id: RequestId, side: Side) -> Record | None:
        """The record, if it was put as fresh for this stream, and nothing has happened to it here since; once."""
        with self._lock:
            record, fresh = self._records.get(request_id, _NONE)
            if record is None or fresh != side or record.exchange.backend_id != backend_id:
                return None
            self._records[request_id] = record, None
        return record

    def drop(self, request_id: RequestId) -> None:
        """Forget an exchange."""
        with self._lock:
            self._records.pop(request_id, None)
