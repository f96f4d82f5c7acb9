"""Which of several agents gets a request of their backend, where its registration asks for more than that whoever has
room takes the oldest. Pure: the time is given, and what agents have in their hands.

An agent *counts* while it asks for requests, and while it works on one: then it may have no room to ask. One that says
that it leaves, or whose connection is lost, counts no more from then on; one that has been silent, or lets what it was
offered lie, after a while.
"""

import hashlib
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.affinity import is_tag, tag_of
from broker.model import Exchange
from broker.policy import Policy

_REMEMBERED: Final = 64
"""Of how many agents that have gone it is known that nobody need wait for them."""

_CAPACITY: Final = 1000
"""The most agents of one backend that are told apart."""


@dataclass(slots=True)
class _Seen:
    last: datetime
    doubted_until: datetime | None = None


class Roster:
    """The agents of one backend, in the order in which they came."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._agents: dict[str, _Seen] = {}
        self._gone: deque[str] = deque(maxlen=_REMEMBERED)
        self._active: str | None = None
        self._began: datetime | None = None

    def asks(self, agent_id: str, now: datetime) -> None:
        """An agent asks for requests."""
        seen = self._agents.get(agent_id)
        if seen is not None:
            seen.last = now
        elif len(self._agents) < _CAPACITY:
            self._agents[agent_id] = _Seen(now)
            self._began = self._began or now

    def takes(self, agent_id: str) -> None:
        """An agent has taken a request, so that nothing is wrong with it."""
        if agent_id in self._agents:
            self._agents[agent_id].doubted_until = None

    def lets_lie(self, agent_id: str, now: datetime) -> None:
        """An agent has not taken what it was offered. Its poll may be open and nobody behind it: only when that must
        be over does it count again."""
        if agent_id in self._agents:
            self._agents[agent_id].doubted_until = now + self._policy.list_wait

    def leaves(self, agent_id: str) -> bool:
        """An agent has gone, or asks for no more. True where that may change who gets what."""
        was_there = self._agents.pop(agent_id, None) is not None
        if was_there:
            self._gone.append(tag_of(agent_id))
        return was_there

    def counting(self, now: datetime, *, busy: Collection[str]) -> list[str]:
        """The agents that count. `busy` are those with a request in their hands."""
        for agent_id in [name for name, seen in self._agents.items() if self._is_over(name, seen, now, busy)]:
            self.leaves(agent_id)
        return [
            agent_id
            for agent_id, seen in self._agents.items()
            if seen.doubted_until is None or seen.doubted_until <= now
        ]

    def _is_over(self, agent_id: str, seen: _Seen, now: datetime, busy: Collection[str]) -> bool:
        return agent_id not in busy and now - seen.last > self._policy.agent_silence

    def is_active(self, agent_id: str, counting: Collection[str]) -> bool:
        """True for the one agent that takes all, with `Sharing.STANDBY`. It stays so as long as it counts, and does not
        become so again by coming back; after it comes the one that has been there for longest."""
        if self._active not in counting:
            self._active = next(iter(counting), agent_id)
        return agent_id == self._active

    def may_take(self, exchange: Exchange, agent_id: str, counting: Collection[str], now: datetime) -> bool:
        """True where an agent may have a request, with `Sharing.STICKY`."""
        if not exchange.affinity:
            return True
        named = next((each for each in counting if tag_of(each) == exchange.affinity), None)
        if named is None and self._may_come_back(exchange.affinity, now):
            return False
        return agent_id == (named or nearest(exchange.affinity, counting or (agent_id,)))

    def _may_come_back(self, tag: str, now: datetime) -> bool:
        """After a start of the proxy its agents come one after the other, within seconds."""
        is_settled = self._began is None or now - self._began > self._policy.offer_lease
        return is_tag(tag) and not is_settled and tag not in self._gone


def nearest(affinity: str, agent_ids: Collection[str]) -> str:
    """The agent for whoever has none yet, or whose one has gone: the same for equal words, whatever the order, evenly
    spread, and another one only where that one goes (rendezvous hashing: Thaler and Ravishankar, 1998)."""
    return max(agent_ids, key=lambda agent_id: hashlib.blake2b(f"{affinity}\n{agent_id}".encode()).digest())
