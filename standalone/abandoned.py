"""Requests that agents work on and nobody waits for any more: each agent is told so with its next poll."""

from collections import deque
from collections.abc import Callable
from typing import Final

from broker.bounded import Bounded
from broker.waiting import Key, PendingKey
from standalone.presence import AgentName
from wire.protocol import RequestId

_AGENTS: Final = 10_000
_REQUESTS: Final = 100
"""Of each agent; it finds out about others when it answers."""


class Abandoned:
    """What each agent is to be told. `wake` has its waiting poll look again."""

    def __init__(self, wake: Callable[[Key], None]) -> None:
        self._wake = wake
        self._gone: Bounded[AgentName, deque[RequestId]] = Bounded(_AGENTS)

    def listen(self, agent: AgentName) -> None:
        """This agent polls, and understands what it is told. One that never has is told nothing."""
        self._gone[agent] = self._gone.get(agent, deque(maxlen=_REQUESTS))

    def note(self, agent: AgentName, request_id: RequestId) -> None:
        """Nobody waits for this request of an agent any more."""
        gone = self._gone.get(agent)
        if gone is not None:
            gone.append(request_id)
            self._wake(PendingKey(agent.backend_id))

    def has(self, agent: AgentName) -> bool:
        """True while there is something to tell."""
        return bool(self._gone.get(agent))

    def take(self, agent: AgentName) -> list[RequestId]:
        """What there is to tell, once."""
        gone = self._gone.get(agent, deque())
        told = list(gone)
        gone.clear()
        return told
