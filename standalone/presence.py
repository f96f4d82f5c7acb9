"""Which agents are there, and which have vanished: an agent whose connection broke off and who does not come back.

Pure: the time is given. An agent that is killed closes its connections, so its user need not wait until its leases or
deadlines are over. Under load it may not be calling just then, and it is its idle connections that end.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from broker.errors import Overloaded
from broker.policy import Policy
from wire.protocol import BackendId

GRACE: Final = timedelta(seconds=5)
"""How long after its connection broke off an agent may come back; a reconnect takes less."""

SHARE: Final = 1_000
"""Agents of a backend that are known at a time: whoever may serve it can invent as many names as he likes."""

ACCOUNT_SHARE: Final = 50_000
"""Agents of an account, whatever backends are registered for it: half of all, so that no account locks others out."""


class AgentName(NamedTuple):
    """An agent of a backend; all that do not name themselves (`agent_id` empty) are taken for one."""

    backend_id: BackendId
    agent_id: str


@dataclass(slots=True)
class _Sightings:
    account: str
    open_calls: int = 0
    broke_off: bool = False
    silent_from: datetime | None = None
    """From when on nothing is heard of it; None while it calls."""
    out_from: datetime | None = None
    """From when on it does not count, having said that it asks for no more."""
    is_out: bool = False
    takes_upgrades: bool = False


class Presence:
    """The agents seen lately, each with its calls under way; at most `capacity` of them, `share` of a backend, and
    `account_share` of an account."""

    def __init__(
        self,
        policy: Policy,
        *,
        grace: timedelta = GRACE,
        capacity: int = 100_000,
        share: int = SHARE,
        account_share: int = ACCOUNT_SHARE,
    ) -> None:
        self._remembered = policy.backend_online
        self._grace = grace
        self._capacity = capacity
        self._share = share
        self._account_share = account_share
        self._agents: dict[AgentName, _Sightings] = {}
        self._of_backend: Counter[BackendId] = Counter()
        self._of_account: Counter[str] = Counter()

    def call_opened(self, agent: AgentName, *, account: str = "") -> None:
        """An agent calls, so it is there. Raises `Overloaded` for a new one when there are too many."""
        if agent not in self._agents:
            self._require_room(agent.backend_id, account)
            self._agents[agent] = _Sightings(account)
            self._of_backend[agent.backend_id] += 1
            self._of_account[account] += 1
        seen = self._agents[agent]
        seen.open_calls += 1
        seen.broke_off = False
        seen.silent_from = None

    def _require_room(self, backend_id: BackendId, account: str) -> None:
        if len(self._agents) >= self._capacity:
            raise Overloaded(f"{self._capacity} agents are known already")
        if self._of_backend[backend_id] >= self._share:
            raise Overloaded(f"{self._share} agents of this backend are known already")
        if self._of_account[account] >= self._account_share:
            raise Overloaded(f"{self._account_share} agents of this account are known already")

    def has_polled(self, agent: AgentName, *, takes_upgrades: bool = False) -> None:
        """An agent asks for work, so it counts; in a call of its own, which says what it takes."""
        seen = self._agents[agent]
        seen.takes_upgrades = takes_upgrades
        seen.out_from = None
        seen.is_out = False

    def has_left(self, agent: AgentName, *, now: datetime) -> None:
        """An agent asks for no more, and finishes what it has; in a call of its own.

        It counts a little longer: one that is started anew is back by then, and nobody is told that there is none.
        """
        self._agents[agent].out_from = now + self._grace

    def has_lost_its_right(self, agent: AgentName) -> None:
        """An agent may not serve any more: it does not count, until it is let in again and polls."""
        if agent in self._agents:
            self._agents[agent].is_out = True

    def call_closed(self, agent: AgentName, *, now: datetime, broke_off: bool) -> None:
        """A call is over: answered, or its connection `broke_off`. For each `call_opened`, once."""
        seen = self._agents[agent]
        seen.open_calls -= 1
        seen.broke_off = broke_off  # an answer that was sent is a sign of life again
        if not seen.open_calls:
            seen.silent_from = now

    def has_hung_up(self, agent: AgentName, *, now: datetime) -> None:
        """An agent has ended a connection that it keeps between its calls.

        Right after an answer, and without a call since, that is as if the call had broken off. Later the connection may
        just have been idle for too long.
        """
        seen = self._agents.get(agent)
        if seen is not None and seen.silent_from is not None and now - seen.silent_from < self._grace:
            seen.broke_off = True
            seen.silent_from = now

    def has_agents(self, backend_id: BackendId) -> bool:
        """True while an agent of this backend is there, or may come back."""
        return any(agent.backend_id == backend_id and not seen.is_out for agent, seen in self._agents.items())

    def takes_upgrades(self, backend_id: BackendId) -> bool:
        """True while an agent of this backend is there that takes upgrades."""
        return any(
            agent.backend_id == backend_id and seen.takes_upgrades and not seen.is_out
            for agent, seen in self._agents.items()
        )

    def take_left(self, now: datetime) -> set[BackendId]:
        """The backends of agents that count no more from now on, because they have left."""
        left = [
            (agent, seen)
            for agent, seen in self._agents.items()
            if seen.out_from is not None and seen.out_from <= now and not seen.is_out
        ]
        for _, seen in left:
            seen.is_out = True
        return {agent.backend_id for agent, _ in left}

    def take_lost(self, now: datetime) -> Iterator[AgentName]:
        """Forget the agents that have gone by now, and name those whose connection broke off.

        One that merely has not called for long may be busy with what it fetched: nothing is taken away from it.
        """
        gone = [name for name, seen in self._agents.items() if self._is_gone(seen, now)]
        self._of_backend -= Counter(name.backend_id for name in gone)
        self._of_account -= Counter(self._agents[name].account for name in gone)
        for name in gone:
            if self._agents.pop(name).broke_off:
                yield name

    def _is_gone(self, seen: _Sightings, now: datetime) -> bool:
        is_short = seen.broke_off or seen.out_from is not None
        return (
            seen.silent_from is not None and seen.silent_from + (self._grace if is_short else self._remembered) <= now
        )
