"""Batches of version 2: what goes into one, and what becomes of the answers in one."""

from collections.abc import Iterable
from typing import Final

from broker.answers import EMPTY_ANSWER, post_answer
from broker.errors import BrokerError, ClaimedElsewhere, UnknownRequest
from broker.model import HandedOut, Part, Poll
from broker.policy import Policy
from broker.store import Store
from broker.waiting import Clock
from wire.batches import Entry
from wire.errors import MalformedMessage
from wire.negotiation import Receipt
from wire.protocol import ERROR, MAX_BATCH_BYTES, MAX_ENTRIES, MAX_ENTRY_BYTES, BackendId, RequestId

POST_ALONE: Final = "post-alone"
"""Why an answer in a batch is refused for which there is no room yet: others would have to wait for its client."""


class Room:
    """What still fits into the answer to a poll."""

    def __init__(self, poll: Poll, policy: Policy, *, most_bytes: int = MAX_BATCH_BYTES) -> None:
        self._entries = min(poll.capacity, policy.list_limit, MAX_ENTRIES)
        self._bytes = most_bytes
        self.is_full = False
        """True once something did not fit."""

    @property
    def entries(self) -> int:
        """For how many more requests there is room."""
        return self._entries

    def admit(self, size: int) -> bool:
        """Count one more request, of so many bytes in the batch. False when it does not fit."""
        if not self._entries or size > self._bytes:
            self.is_full = True
            return False
        self._entries -= 1
        self._bytes -= size
        return True


def take_named(
    store: Store, clock: Clock, backend_id: BackendId, request_id: RequestId, *, agent_id: str
) -> HandedOut | None:
    """A request that was named to an agent, from now on in its hands; None where it does not get it. Without the bytes
    of one that is not whole yet, or too long for a batch."""
    try:
        exchange = store.fetch_exchange(backend_id, request_id, agent_id=agent_id, now=clock.now())
    except (UnknownRequest, ClaimedElsewhere):
        return None
    part = store.read_request(backend_id, request_id, 0)
    is_batchable = part is not None and part.last and len(part.data) <= MAX_ENTRY_BYTES
    return HandedOut(exchange, part.data if part is not None and is_batchable else None)


def as_batch(handed: Iterable[HandedOut]) -> list[HandedOut]:
    """The same, without the bytes of those that a batch has no more room for."""
    left, fitting = MAX_BATCH_BYTES, []
    for each in handed:
        left -= len(each.request or b"")
        fitting.append(each if left >= 0 else HandedOut(each.exchange, None))
    return fitting


class Postbox:
    """Takes the answers of one batch, each for itself, and says at last what has become of them. Several threads may
    give them to it."""

    def __init__(self, store: Store, clock: Clock, policy: Policy, backend_id: BackendId, *, agent_id: str) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy
        self._backend_id = backend_id
        self._agent_id = agent_id
        self._refusals: dict[RequestId, str] = {}
        """Why an answer was not taken; empty for one that was. Two for one exchange are both posted: the store keeps
        one, and said is what became of the one that came back first."""

    def take(self, entry: Entry) -> None:
        """Store an answer, without waiting for anything but the store."""
        self._refusals.setdefault(entry.request_id, self._post(entry))

    def receipt(self) -> Receipt:
        """What has become of all."""
        by_reason = self._refusals.items()
        return Receipt(
            delivered=tuple(name for name, reason in by_reason if not reason),
            unknown=tuple(name for name, reason in by_reason if reason == UnknownRequest.reason),
            refused={name: reason for name, reason in by_reason if reason not in ("", UnknownRequest.reason)},
        )

    def _post(self, entry: Entry) -> str:
        posting = post_answer(
            self._store,
            self._clock,
            self._policy,
            self._backend_id,
            entry.request_id,
            Part(0, entry.message, last=True),
            agent_id=self._agent_id,
            error=entry.headers.get(ERROR),
        )
        try:
            next(posting)
        except StopIteration:
            return ""
        except MalformedMessage:
            return EMPTY_ANSWER
        except BrokerError as exc:
            return exc.reason
        return POST_ALONE
