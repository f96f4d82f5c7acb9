"""A store that tells waiters what it has changed, itself or through a cache to other processes; and that does not look
where nothing can have come."""

from collections.abc import Callable
from datetime import datetime

from broker.model import Exchange, HandedOut, LostPolls, Poll
from broker.store import Store
from broker.waiting import ExchangeKey, Key, PendingKey
from stores.shared.queue_looks import QueueLooks
from wire.protocol import BackendId, RequestId

Tell = Callable[[Key], None]


class TellingStore:
    """A `Store` around another. `tell` says to all that a key may have changed; `tell_here` only to this process: when
    an agent got something, that another may get more; `expect_here`, when one got or answered something, that more may
    come. A poll is not asked for while `looks` say that there can be nothing."""

    def __init__(
        self,
        store: Store,
        looks: QueueLooks,
        *,
        tell: Tell,
        tell_here: Tell,
        expect_here: Callable[[PendingKey], None],
    ) -> None:
        self._store = store
        self._looks = looks
        self._tell = tell
        self._tell_here = tell_here
        self._expect_here = expect_here
        # What nobody waits for.
        self.put_backend = store.put_backend
        self.get_backend = store.get_backend
        self.list_backends = store.list_backends
        self.find_backends = store.find_backends
        self.delete_backend = store.delete_backend
        self.touch_backend = store.touch_backend
        self.get_statuses = store.get_statuses
        self.read_answer = store.read_answer
        self.delete_exchange = store.delete_exchange
        self.read_request = store.read_request
        self.sweep = store.sweep

    def add_exchange(self, exchange: Exchange, request: bytes, *, last: bool) -> None:
        self._store.add_exchange(exchange, request, last=last)
        self._tell(PendingKey(exchange.backend_id))

    def append_request(
        self, backend_id: BackendId, request_id: RequestId, offset: int, data: bytes, *, last: bool, now: datetime
    ) -> int:
        stored = self._store.append_request(backend_id, request_id, offset, data, last=last, now=now)
        self._tell(ExchangeKey(request_id))
        return stored

    def claim_pending(
        self, backend_id: BackendId, *, agent_id: str, now: datetime, takes_upgrades: bool = False
    ) -> list[RequestId]:
        claimed = self._store.claim_pending(backend_id, agent_id=agent_id, now=now, takes_upgrades=takes_upgrades)
        if claimed:
            self._tell_here(PendingKey(backend_id))
        return claimed

    def hand_out(self, backend_id: BackendId, poll: Poll, *, now: datetime) -> list[HandedOut]:
        key = PendingKey(backend_id)
        look = self._looks.begin(key)
        if look is None:
            return []
        handed = self._store.hand_out(backend_id, poll, now=now)
        if handed:
            self._expect_here(key)
        if not handed or (poll.offers_only and len(handed) < poll.capacity):
            self._looks.took_all(key, look, named=[each.exchange.request_id for each in handed])
        else:
            self._tell_here(key)
        return handed

    def take_back(self, backend_id: BackendId, lost: LostPolls, *, agent_id: str, now: datetime) -> None:
        self._store.take_back(backend_id, lost, agent_id=agent_id, now=now)
        self._tell(PendingKey(backend_id))

    def fetch_exchange(self, backend_id: BackendId, request_id: RequestId, *, agent_id: str, now: datetime) -> Exchange:
        exchange = self._store.fetch_exchange(backend_id, request_id, agent_id=agent_id, now=now)
        self._looks.fetched(PendingKey(backend_id), request_id)
        return exchange

    def append_answer(
        self,
        backend_id: BackendId,
        request_id: RequestId,
        offset: int,
        data: bytes,
        *,
        agent_id: str,
        last: bool,
        now: datetime,
    ) -> int:
        stored = self._store.append_answer(backend_id, request_id, offset, data, agent_id=agent_id, last=last, now=now)
        self._tell(ExchangeKey(request_id))
        self._expect_here(PendingKey(backend_id))
        return stored

    def fail_exchange(self, backend_id: BackendId, request_id: RequestId, *, agent_id: str, reason: str) -> None:
        self._store.fail_exchange(backend_id, request_id, agent_id=agent_id, reason=reason)
        self._tell(ExchangeKey(request_id))

    def release_offers(self, backend_id: BackendId, *, agent_id: str) -> None:
        self._store.release_offers(backend_id, agent_id=agent_id)
        self._tell(PendingKey(backend_id))

    def release_agent(self, backend_id: BackendId, *, agent_id: str) -> None:
        self._store.release_agent(backend_id, agent_id=agent_id)
        self._tell(PendingKey(backend_id))
