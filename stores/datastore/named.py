"""What this process has named to agents, and these have not fetched yet."""

from collections.abc import Iterable
from datetime import datetime
from threading import Lock
from typing import Final, NamedTuple

from broker.bounded import Bounded
from broker.model import LostPolls, Poll
from broker.policy import Policy
from stores.datastore.exchange_records import Record
from wire.protocol import RequestId

_NAMES: Final = 10_000


class _Name(NamedTuple):
    agent_id: str
    poll_id: str
    until: datetime


class NamedRequests:
    """Names each request to one agent at a time, for `policy.name_lease`. Processes do not know of each other's names:
    a name is no claim. Bounded; safe to use from several threads."""

    def __init__(self, policy: Policy) -> None:
        self._lease = policy.name_lease
        self._lock = Lock()  # guards the map
        self._names: Bounded[RequestId, _Name] = Bounded(_NAMES)

    def without(self, records: Iterable[Record], *, now: datetime) -> list[Record]:
        """Those of them that are named to nobody."""
        with self._lock:
            return [record for record in records if self._is_free(record, now)]

    def take(self, records: Iterable[Record], poll: Poll, *, most: int, now: datetime) -> list[Record]:
        """Those of them that are named to nobody, at most so many; from now on they are, to the agent that polls."""
        taken: list[Record] = []
        with self._lock:
            for record in records:
                if len(taken) < most and self._is_free(record, now):
                    self._names[record.exchange.request_id] = _Name(poll.agent_id, poll.poll_id, now + self._lease)
                    taken.append(record)
        return taken

    def _is_free(self, record: Record, now: datetime) -> bool:
        name = self._names.get(record.exchange.request_id)
        return name is None or name.until <= now

    def forget_polls(self, lost: LostPolls, *, agent_id: str) -> None:
        """What was named in polls that an agent has lost, and has not arrived, is named to nobody."""
        with self._lock:
            for request_id, name in list(self._names.items()):
                if name.agent_id == agent_id and name.poll_id in lost.poll_ids and request_id not in lost.received:
                    del self._names[request_id]

    def forget_agent(self, agent_id: str) -> None:
        """What was named to an agent that asks no more is named to nobody."""
        with self._lock:
            for request_id in [request_id for request_id, name in self._names.items() if name.agent_id == agent_id]:
                del self._names[request_id]
