"""What a store in memory knows of exchanges: their records, the queue of each backend, polls that are lost. No lock."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from broker import exchange as rules
from broker.assignment import Roster
from broker.batches import Room
from broker.bounded import Bounded
from broker.model import BackendStatus, Exchange, HandedOut, Poll, Sharing
from broker.policy import Policy
from broker.quotas import Load
from stores.memory.window import Window
from wire.protocol import MAX_ENTRY_BYTES, BackendId, RequestId


@dataclass(slots=True)
class Record:
    """An exchange, and its two messages."""

    exchange: Exchange
    request: Window
    answer: Window

    def close(self) -> None:
        """It has gone."""
        self.request.close()
        self.answer.close()

    def release(self) -> None:
        """Its agent has gone."""
        self._requeue(rules.release(self.exchange, can_be_read_again=self.request.is_whole))

    def take_back(self) -> None:
        """It has not arrived at its agent."""
        self._requeue(rules.take_back(self.exchange))

    def _requeue(self, exchange: Exchange) -> None:
        self.exchange = exchange
        if not rules.is_taken(exchange):
            self.request.rewind()


@dataclass(slots=True)
class Queue:
    """What belongs to one backend ID: its exchanges, of them in order of age those that no agent has taken yet (a poll
    looks at no others), and what happened lately."""

    roster: Roster
    status: BackendStatus = BackendStatus()
    records: dict[RequestId, Record] = field(default_factory=dict)
    waiting: OrderedDict[RequestId, Record] = field(default_factory=OrderedDict)

    def add(self, record: Record) -> None:
        """A new exchange, behind all others."""
        self.records[record.exchange.request_id] = self.waiting[record.exchange.request_id] = record

    def remove(self, request_id: RequestId) -> None:
        """An exchange that has gone."""
        del self.records[request_id]
        self.waiting.pop(request_id, None)

    def load(self, now: datetime, *, of_user: int) -> Load:
        """What a new request would come to. One that waits to become another protocol says nothing of how long others
        have to wait: not every agent takes it."""
        oldest = next((each.exchange for each in self.waiting.values() if not each.exchange.upgrade), None)
        return Load(
            exchanges=len(self.records),
            waiting=len(self.waiting),
            oldest_wait=now - oldest.started if oldest else timedelta(),
            of_user=of_user,
        )

    def requeue(self, records: Iterable[Record], change: Callable[[Record], None]) -> None:
        """Take exchanges from their agent; those that are queued again are before all others."""
        for record in reversed(list(records)):
            change(record)
            if not rules.is_taken(record.exchange):
                self.waiting[record.exchange.request_id] = record
                self.waiting.move_to_end(record.exchange.request_id, last=False)

    def claimable(
        self, agent_id: str, sharing: Sharing, *, now: datetime, policy: Policy, takes_upgrades: bool = False
    ) -> Iterator[Record]:
        """What an agent that asks may be given, oldest first."""
        may_take = self._sharer(agent_id, sharing, now)
        for record in self.waiting.values():
            exchange = record.exchange
            if rules.is_claimable(exchange, now, policy=policy, takes_upgrades=takes_upgrades) and may_take(exchange):
                yield record

    def _sharer(self, agent_id: str, sharing: Sharing, now: datetime) -> Callable[[Exchange], bool]:
        """Which requests are for an agent that asks."""
        if sharing is Sharing.PULL:
            return lambda exchange: True
        roster = self.roster
        roster.asks(agent_id, now)
        for record in self.waiting.values():
            if rules.has_lapsed(record.exchange, now):
                roster.lets_lie(record.exchange.agent_id, now)
        busy = {each.exchange.agent_id for each in self.records.values() if rules.is_in_hands(each.exchange)}
        counting = roster.counting(now, busy=busy)
        if sharing is Sharing.STANDBY:
            is_active = roster.is_active(agent_id, counting)
            return lambda exchange: is_active
        return lambda exchange: roster.may_take(exchange, agent_id, counting, now)

    def hand_out(self, poll: Poll, room: Room, sharing: Sharing, *, now: datetime, policy: Policy) -> list[HandedOut]:
        """What a poll takes with it, as much as there is room for."""
        handed = []
        takes_upgrades = poll.takes_upgrades
        for record in self.claimable(poll.agent_id, sharing, now=now, policy=policy, takes_upgrades=takes_upgrades):
            request = None if poll.offers_only else record.request.whole(at_most=MAX_ENTRY_BYTES)
            if not room.admit(len(request or b"")):
                break
            record.exchange = rules.hand_out(
                record.exchange, poll, now=now, policy=policy, is_whole=request is not None
            )
            handed.append(HandedOut(record.exchange, request))
        for each in handed:
            if each.request is not None:
                del self.waiting[each.exchange.request_id]
        return handed


class LostPollNames:
    """Which polls are lost, each for a while; of more than `CAPACITY` the ones named last."""

    CAPACITY: Final = 10_000

    def __init__(self) -> None:
        self._ends: Bounded[tuple[BackendId, str, str], datetime] = Bounded(self.CAPACITY)

    def add(self, backend_id: BackendId, agent_id: str, poll_ids: Iterable[str], *, until: datetime) -> None:
        """Remember polls of an agent."""
        for poll_id in poll_ids:
            self._ends[backend_id, agent_id, poll_id] = until

    def has(self, backend_id: BackendId, poll: Poll) -> bool:
        """True for a poll that is lost."""
        return (backend_id, poll.agent_id, poll.poll_id) in self._ends

    def sweep(self, now: datetime) -> None:
        """Forget those whose time is over."""
        for name in [name for name, end in self._ends.items() if end <= now]:
            del self._ends[name]
