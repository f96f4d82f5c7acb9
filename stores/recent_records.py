"""What a process remembers of exchanges between calls."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from stores.exchange_records import Record
from stores.exchange_streams import Side
from wire.protocol import BackendId, RequestId


class RecentRecords:
    """What this process read or wrote last of some exchanges: a guess that saves a look-up, and that the conditional
    write verifies. Bounded; safe to use from several threads."""

    def __init__(self, capacity: int = 500) -> None:
        self.tell: Callable[[Record], None] = lambda record: None
        """Called with each record that is put."""
        self._capacity = capacity
        self._lock = Lock()  # guards the two below
        self._records: OrderedDict[RequestId, Record] = OrderedDict()
        self._fresh: dict[RequestId, Side] = {}

    def get(self, backend_id: BackendId, request_id: RequestId) -> Record | None:
        """What is remembered of an exchange of this backend."""
        record = self.find(request_id)
        return record if record is not None and record.exchange.backend_id == backend_id else None

    def find(self, request_id: RequestId) -> Record | None:
        """What is remembered of an exchange, whosever it is."""
        with self._lock:
            return self._records.get(request_id)

    def put(self, record: Record, *, fresh: Side | None = None) -> None:
        """Remember a record. `fresh` is the stream that whoever has just written it is going to read."""
        request_id = record.exchange.request_id
        with self._lock:
            self._records[request_id] = record
            self._records.move_to_end(request_id)
            self._fresh.pop(request_id, None)
            if fresh is not None:
                self._fresh[request_id] = fresh
            if len(self._records) > self._capacity:
                self._fresh.pop(self._records.popitem(last=False)[0], None)
        self.tell(record)

    def take_fresh(self, backend_id: BackendId, request_id: RequestId, side: Side) -> Record | None:
        """The record, if it was put as fresh for this stream, and nothing has happened to it here since; once."""
        with self._lock:
            record = self._records.get(request_id) if self._fresh.get(request_id) == side else None
            if record is None or record.exchange.backend_id != backend_id:
                return None
            del self._fresh[request_id]
            return record

    def drop(self, request_id: RequestId) -> None:
        """Forget an exchange."""
        with self._lock:
            self._fresh.pop(request_id, None)
            self._records.pop(request_id, None)
