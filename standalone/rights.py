"""Rights that end while they are used: a token is taken back, a backend is registered for others, a user signs out.

Whoever is let in gets a right, which can be asked again: a poll asks it before it is given anything, and of websockets
it is asked each second. `Rights` are about what an agent has between its calls: requests in its hands, and websockets.
Those do not end with the right of one call at once: an agent whose token is replaced shows the new one with its next.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

from broker.waiting import Key, PendingKey
from standalone.presence import GRACE, SHARE, AgentName
from wire.protocol import BackendId

Right = Callable[[], bool]
"""To be asked again while something lasts that was allowed once: True for as long as it still is."""


def always() -> bool:
    """A right that does not end."""
    return True


class Rights:
    """What each agent has shown last. `wake` has its waiting polls look again: they end, and it polls anew.

    Agents that do not name themselves cannot be told apart, so nothing is known of them here.
    """

    def __init__(self, wake: Callable[[Key], None], *, grace: timedelta = GRACE) -> None:
        self._wake = wake
        self._grace = grace
        self._shown: dict[BackendId, OrderedDict[str, Right]] = {}
        """The agents of each backend, who has shown something last at the end."""
        self._ends: dict[AgentName, datetime] = {}

    def show(self, agent: AgentName, right: Right) -> None:
        """An agent has been let in."""
        if not agent.agent_id or right is always:
            return
        shown = self._shown.setdefault(agent.backend_id, OrderedDict())
        shown[agent.agent_id] = right
        shown.move_to_end(agent.agent_id)
        if len(shown) > SHARE:
            shown.popitem(last=False)

    def has(self, agent: AgentName) -> bool:
        """True for one that may serve, as far as is known, or whose right has ended just now."""
        return agent.agent_id in self._shown.get(agent.backend_id, ())

    def take_ended(self, now: datetime) -> list[AgentName]:
        """The agents whose right has ended and who have not shown a better one since; each once."""
        over = [
            AgentName(backend_id, agent_id)
            for backend_id, shown in self._shown.items()
            for agent_id, right in shown.items()
            if not right()
        ]
        for agent in over:
            self._wake(PendingKey(agent.backend_id))
        self._ends = {agent: self._ends.get(agent, now + self._grace) for agent in over}
        ended = [agent for agent, end in self._ends.items() if end <= now]
        for agent in ended:
            self._forget(agent)
        return ended

    def _forget(self, agent: AgentName) -> None:
        shown = self._shown[agent.backend_id]
        del shown[agent.agent_id]
        if not shown:
            del self._shown[agent.backend_id]
