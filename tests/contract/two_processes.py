"""The store of two processes that share Datastore and a cache, called as the services call it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from broker.model import Answer, Exchange, HandedOut, Part, Poll
from broker.policy import Policy
from broker.waiting import ExchangeKey
from stores.datastore.store import DatastoreStore
from stores.shared.assembly import with_waiter
from stores.shared.hints import Cache, Hints
from tests.fakes.clock import NOON, FakeClock
from wire.protocol import BackendId, RequestId

AGENTS = frozenset({"claim_pending", "take_back", "append_answer", "fail_exchange", "release_offers", "release_agent"})


class TwoProcesses:
    """A `Store`. What agents call is one process's, all else another's."""

    def __init__(self, datastore: Callable[[], DatastoreStore], policy: Policy, cache: Cache) -> None:
        self._policy = policy
        self._clock = FakeClock()

        def process() -> Any:
            return with_waiter(datastore(), policy, Hints(cache), monotonic=self._seconds)

        self._users, self._users_waiter = process()
        self._agents, _ = process()

    def _seconds(self) -> float:
        return (self._clock.now() - NOON).total_seconds()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._agents if name in AGENTS else self._users, name)

    def add_exchange(self, exchange: Exchange, request: bytes, *, last: bool) -> None:
        """Whoever has asked looks for the answer at once."""
        self._users.add_exchange(exchange, request, last=last)
        self._users.read_answer(exchange.backend_id, exchange.request_id, 0)

    def read_answer(self, backend_id: BackendId, request_id: RequestId, offset: int) -> Answer:
        """After a look at the hints."""
        self._users_waiter.read_hint(ExchangeKey(request_id))
        answer: Answer = self._users.read_answer(backend_id, request_id, offset)
        return answer

    def hand_out(self, backend_id: BackendId, poll: Poll, *, now: datetime) -> list[HandedOut]:
        """Where there is nothing, once more after the time that a lost hint may cost."""
        handed: list[HandedOut] = self._agents.hand_out(backend_id, poll, now=now)
        if not handed:
            self._clock.advance(self._policy.hinted_idle + timedelta(seconds=1))
            handed = self._agents.hand_out(backend_id, poll, now=now)
        return handed

    def fetch_exchange(self, backend_id: BackendId, request_id: RequestId, *, agent_id: str, now: datetime) -> Exchange:
        """Whoever has fetched reads at once."""
        exchange: Exchange = self._agents.fetch_exchange(backend_id, request_id, agent_id=agent_id, now=now)
        self._agents.read_request(backend_id, request_id, 0)
        return exchange

    def read_request(self, backend_id: BackendId, request_id: RequestId, offset: int) -> Part | None:
        part: Part | None = self._agents.read_request(backend_id, request_id, offset)
        return part
