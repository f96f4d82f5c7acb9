"""The request IDs that this agent has taken lately: a bounded set, least recently used first out."""

import threading
from collections import OrderedDict

from wire.protocol import RequestId


class SeenIds:
    """The last `capacity` request IDs; safe for several threads."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._ids: OrderedDict[RequestId, None] = OrderedDict()
        self._lock = threading.Lock()  # guards _ids

    def add(self, request_id: RequestId) -> bool:
        """Remember an ID; False if it was known already."""
        with self._lock:
            is_new = request_id not in self._ids
            self._ids[request_id] = None
            self._ids.move_to_end(request_id)
            if len(self._ids) > self._capacity:
                self._ids.popitem(last=False)
        return is_new

    def discard(self, request_id: RequestId) -> None:
        """Forget an ID, so that the proxy may offer it to this agent again."""
        with self._lock:
            self._ids.pop(request_id, None)
