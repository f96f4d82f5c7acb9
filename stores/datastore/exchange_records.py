"""How an exchange lies in Datastore: an entity for its state and the few bytes of a small message, and parts beside it.

    exchange/ID                      the state; the first bytes of each stream, where they are few, and where its parts
                                     begin
    exchange/ID/requestPart/OFFSET   further bytes of the request; written once, with the state, in one commit
    exchange/ID/answerPart/OFFSET    further bytes of the answer, likewise
    exchange/ID/answerPart/OFFSET.WRITER   the same where several are written before the state that names them
    pollOf/BACKEND/agent/ID/lostPoll/ID    that a poll is lost, until it expires

The state is the truth: a part that it does not name is not there. A part that is written before it has a name that no
other writer gives, so that of two who write at a time only the parts of one count. Keys are made from the ID and what
the state says, so nothing on the way of a request needs a query but the poll. Indexed is only what that poll and
`release_agent` ask for; what grows with the time alone is not, because all backends would write at the end of that
index.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from google.cloud import datastore

from broker.exchange import is_taken
from broker.model import Exchange, State
from stores.datastore.conditional import Datastore, Versioned
from stores.datastore.exchange_streams import Side, Stream
from wire.protocol import BackendId, RequestId, trace_of

logger = logging.getLogger(__name__)

EXCHANGE: Final = "exchange"
PART_KINDS: Final = ("requestPart", "answerPart")

LOST_POLL: Final = "lostPoll"
EXPIRES: Final = "expires"
"""When nobody needs an entity any more; the property of the TTL policies, of all kinds here."""

PART_LASTS: Final = timedelta(days=1)
"""So much longer than its exchange does when a part is written, because an answer may go on for long after it."""

PAGE: Final = 50
"""Exchanges that one call brings where nobody wants their bytes: each has twice `MAX_INLINE_BYTES` of them."""

BACKEND: Final = "backend"
AGENT: Final = "agent"
QUEUE: Final = "queue"
"""`queue_place`: its place among those that polls may list. Absent once it is taken."""

_OF_A_STREAM: Final = {"Parts": list, "End": int, "Ended": bool, "Bytes": bytes | None}

_TYPES: Final[Mapping[str, Any]] = {
    **dict.fromkeys((BACKEND, AGENT, "endUser", "method", "state", "failure"), str),
    **dict.fromkeys(("started", EXPIRES), datetime),
    **dict.fromkeys(("poll", "upgrade"), str | None),
    "leasedUntil": datetime | None,
    **{f"{stream}{what}": kind for stream in ("request", "answer") for what, kind in _OF_A_STREAM.items()},
}
"""Of the properties of an exchange; `QUEUE` is only asked for. What may be None may be absent."""

_UNINDEXED: Final = tuple(name for name in _TYPES if name not in (BACKEND, AGENT))


@dataclass(frozen=True, slots=True)
class Record:
    """An exchange as it is stored; `version` is that of its entity, 0 for one that is new."""

    exchange: Exchange
    request: Stream = Stream()
    answer: Stream = Stream()
    version: int = 0

    def stream(self, side: Side) -> Stream:
        """One of the two."""
        return self.request if side == "request" else self.answer

    def with_stream(self, side: Side, stream: Stream) -> "Record":
        """The record, with one of the two changed."""
        return replace(self, request=stream) if side == "request" else replace(self, answer=stream)


def is_same(one: Record, other: Record) -> bool:
    """True for two states of one exchange that was queued once: of one ID, backend, user, method and start, with one
    request."""
    return one.exchange[:5] == other.exchange[:5] and one.request == other.request


class Layout:
    """Keys and entities of exchanges."""

    def __init__(self, datastore_: Datastore) -> None:
        self._datastore = datastore_
        self._has_told = False
        """That there are entities of another version."""

    def key(self, request_id: RequestId) -> datastore.Key:
        """The key of an exchange. The prefix keeps names apart that Datastore reserves, like `__x__`."""
        return self._datastore.key(EXCHANGE, f"id:{request_id}")

    def part_key(self, request_id: RequestId, side: Side, name: str) -> datastore.Key:
        """The key of a part."""
        return self._datastore.key(EXCHANGE, f"id:{request_id}", f"{side}Part", name)

    def part(self, exchange: Exchange, side: Side, name: str, data: bytes) -> datastore.Entity:
        """The entity of a part."""
        key = self.part_key(exchange.request_id, side, name)
        entity = datastore.Entity(key, exclude_from_indexes=("data", EXPIRES))
        entity.update({"data": data, EXPIRES: exchange.expires + PART_LASTS})
        return entity

    def part_keys(self, record: Record) -> Iterator[datastore.Key]:
        """The keys of all parts of an exchange."""
        request_id = record.exchange.request_id
        for name in record.request.names:
            yield self.part_key(request_id, "request", name)
        for name in record.answer.names:
            yield self.part_key(request_id, "answer", name)

    def lost_poll_key(self, backend_id: BackendId, agent_id: str, poll_id: str) -> datastore.Key:
        """The key of the word that a poll is lost."""
        return self._datastore.key("pollOf", f"id:{backend_id}", "agent", f"id:{agent_id}", LOST_POLL, f"id:{poll_id}")

    def lost_poll(self, key: datastore.Key, *, until: datetime) -> datastore.Entity:
        """The word that a poll is lost."""
        entity = datastore.Entity(key, exclude_from_indexes=(EXPIRES,))
        entity[EXPIRES] = until
        return entity

    def entity(self, record: Record) -> datastore.Entity:
        """The entity of an exchange."""
        exchange = record.exchange
        entity = datastore.Entity(self.key(exchange.request_id), exclude_from_indexes=_UNINDEXED)
        fields: dict[str, Any] = {
            BACKEND: exchange.backend_id,
            AGENT: exchange.agent_id,
            QUEUE: None
            if is_taken(exchange)
            else queue_place(exchange.backend_id, exchange.leased_until or exchange.started),
            "endUser": exchange.end_user,
            "method": exchange.method,
            "started": exchange.started,
            EXPIRES: exchange.expires,
            "state": exchange.state.value,
            "leasedUntil": exchange.leased_until,
            "failure": exchange.failure,
            "poll": exchange.poll_id or None,
            "upgrade": exchange.upgrade or None,
        }
        for side, stream in (("request", record.request), ("answer", record.answer)):
            fields |= {f"{side}Parts": list(stream.names), f"{side}End": stream.end, f"{side}Ended": stream.ended}
            fields[f"{side}Bytes"] = stream.inline or None
        entity.update({name: value for name, value in fields.items() if value is not None})
        return entity

    def record(self, found: Versioned | None) -> Record | None:
        """The record that an entity holds, if one was found. None, too, where another version of this program wrote it,
        as while a new one is deployed: it is as good as unknown, and leaves by its date."""
        if found is None:
            return None
        try:
            return _record_of(found)
        except (TypeError, ValueError):
            if not self._has_told:
                self._has_told = True
                trace = trace_of(request_id_of(found.entity.key))
                logger.warning("%s: written by another version of this program, passed over; said once", trace)
            return None

    def records(self, found: Iterable[Versioned]) -> list[Record]:
        """The records that entities hold, without those of another version."""
        return [record for record in map(self.record, found) if record is not None]


def request_id_of(key: datastore.Key) -> RequestId:
    """The exchange that a key of one names."""
    return RequestId(str(key.name).removeprefix("id:"))


def queue_place(backend_id: BackendId, available: datetime) -> str:
    """Sorts by the time from which a poll of this backend may list an exchange: its start, or the end of a lease.
    One text, so that each backend has a range of the index to itself."""
    return f"{backend_id}\n{available.isoformat(timespec='microseconds')}"


def _record_of(found: Versioned) -> Record:
    """Raises `TypeError` and `ValueError` for what this version does not write."""
    entity = found.entity
    for name, kind in _TYPES.items():
        if not isinstance(entity.get(name), kind):
            raise TypeError(name)
    exchange = Exchange(
        request_id=request_id_of(entity.key),
        backend_id=BackendId(entity[BACKEND]),
        end_user=entity["endUser"],
        method=entity["method"],
        started=entity["started"],
        expires=entity[EXPIRES],
        state=State(entity["state"]),
        agent_id=entity[AGENT],
        leased_until=entity.get("leasedUntil"),
        failure=entity["failure"],
        poll_id=entity.get("poll", ""),
        upgrade=entity.get("upgrade", ""),
    )
    request, answer = (
        Stream(
            tuple(entity[f"{side}Parts"]),
            entity[f"{side}End"],
            entity[f"{side}Ended"],
            entity.get(f"{side}Bytes", b""),
        )
        for side in ("request", "answer")
    )
    return Record(exchange, request, answer, found.version)
