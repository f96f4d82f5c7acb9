"""Which agents have said that they ask for no more, so that a poll of theirs that still waits ends.

App Engine does not tell a service that the other side has gone, and a poll that nobody reads would go on claiming. What
is known here is what this process was told; in another one the lease of an offer sees to it, a little later.
"""

import threading
from collections.abc import Callable

from broker.bounded import Bounded
from wire.protocol import BackendId


class Departures:
    """Counts the departures of each agent, of `capacity` agents. Safe for several threads."""

    def __init__(self, *, capacity: int = 10_000) -> None:
        self._lock = threading.Lock()  # guards _counts
        self._counts: Bounded[tuple[BackendId, str], int] = Bounded(capacity)

    def note(self, backend_id: BackendId, agent_id: str) -> None:
        """An agent asks for no more, until it polls again."""
        agent = (backend_id, agent_id)
        with self._lock:
            # A poll of an agent that is forgotten for it ends too early: it polls again.
            self._counts[agent] = self._counts.get(agent, 0) + 1

    def watch(self, backend_id: BackendId, agent_id: str) -> Callable[[], bool]:
        """A poll begins: says whenever it is asked whether the agent has left since."""
        agent = (backend_id, agent_id)
        with self._lock:
            count = self._counts.get(agent, 0)

        def has_left() -> bool:
            with self._lock:
                return self._counts.get(agent, 0) != count

        return has_left
