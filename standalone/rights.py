"""Rights that end while they are used: a token is taken back, a backend is registered for others, a user signs out.

Whoever is let in gets a right, which can be asked again: a poll asks it before it is given anything, and of websockets
it is asked each second. `Rights` and `Fetches` are about what an agent has between its calls: requests in its hands,
and websockets. Those do not end with the right of one call at once: an agent whose token is replaced shows the new one
with its next.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from broker.bounded import Bounded
from broker.waiting import Key, PendingKey
from standalone.presence import GRACE, SHARE, AgentName
from wire.protocol import BackendId, RequestId

Right = Callable[[], bool]
"""To be asked again while something lasts that was allowed once: True for as long as it still is."""


def always() -> bool:
    """A right that does not end."""
    return True


T = TypeVar("T")


class _Graces(Generic[T]):
    """How long it still takes until the end of a right counts; to be asked again and again."""

    def __init__(self, grace: timedelta) -> None:
        self._grace = grace
        self._ends: dict[T, datetime] = {}

    def take(self, over: Iterable[T], now: datetime) -> list[T]:
        """Of all whose right has ended, those for whom it counts by now."""
        self._ends = {each: self._ends.get(each, now + self._grace) for each in over}
        return [each for each, end in self._ends.items() if end <= now]


class Rights:
    """What each agent has shown last. `wake` has its waiting polls look again: they end, and it polls anew.

    Agents that do not name themselves cannot be told apart: of them there are only `Fetches`.
    """

    def __init__(self, wake: Callable[[Key], None], *, grace: timedelta = GRACE) -> None:
        self._wake = wake
        self._graces = _Graces[AgentName](grace)
        self._shown: dict[BackendId, Bounded[str, Right]] = {}
        """The agents of each backend, who has shown something last at the end."""

    def show(self, agent: AgentName, right: Right) -> None:
        """An agent has been let in."""
        if not agent.agent_id or right is always:
            return
        self._shown.setdefault(agent.backend_id, Bounded(SHARE))[agent.agent_id] = right

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
        ended = self._graces.take(over, now)
        for agent in ended:
            self._forget(agent)
        return ended

    def _forget(self, agent: AgentName) -> None:
        shown = self._shown[agent.backend_id]
        del shown[agent.agent_id]
        if not shown:
            del self._shown[agent.backend_id]


class Fetched(NamedTuple):
    """A request in the hands of an agent that does not name itself."""

    backend_id: BackendId
    request_id: RequestId


class Fetches:
    """What has been shown last for each request that `is_there` and that an agent without a name has fetched."""

    def __init__(self, is_there: Callable[[BackendId, RequestId], bool], *, grace: timedelta = GRACE) -> None:
        self._is_there = is_there
        self._graces = _Graces[Fetched](grace)
        self._shown: dict[Fetched, Right] = {}

    def show(self, fetched: Fetched, right: Right) -> None:
        """An agent has been let in, to fetch the request or to answer it."""
        if right is not always:
            self._shown[fetched] = right

    def take_ended(self, now: datetime) -> list[Fetched]:
        """The requests whose right has ended, without a better one since; each once."""
        self._shown = {fetched: right for fetched, right in self._shown.items() if self._is_there(*fetched)}
        ended = self._graces.take((fetched for fetched, right in self._shown.items() if not right()), now)
        for fetched in ended:
            del self._shown[fetched]
        return ended
