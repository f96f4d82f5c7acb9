"""The life of one exchange: states, moves, and what an agent may do with it.

Rule 1: everything that changes the state of an exchange stands in this file, in one table. A store calls these
functions inside its lock or its transaction, and stores what they return; it decides nothing itself.

Rule 2: a claim is a lease in two steps. Listing *offers* a request to one agent for a few seconds; *fetching* it gives
it to that agent until the answer is due. An answer to a poll that is lost on the way costs the short lease and not the
request; a slow backend is not asked twice. Whoever fetches first has it: an offer that was overtaken is void.

    QUEUED ──offer──▶ OFFERED ──fetch──▶ FETCHED ──answer──▶ ANSWERING ──finish──▶ ANSWERED
       │                │  ▲               │                     │
       │                └──┘ offer,        ├──release──▶ QUEUED (idempotent methods only, no byte answered)
       └────fetch──────▶ after the lease   └──fail─────▶ FAILED ◀──fail──┘

Rule 3: a poll of version 2 *hands out*: it offers and fetches in one step, and the exchange remembers the poll. If the
answer to that poll is lost, and its agent says that this exchange was not in what has arrived of it, nobody has begun
it: it is taken back into the queue, whatever its method.

An exchange leaves by deletion: delivered, given up, or swept.
"""

from datetime import datetime
from enum import Enum
from typing import Final

from broker.errors import BrokenAnswer, ClaimedElsewhere, ConflictingBytes, UnknownRequest
from broker.model import Exchange, LostPolls, Poll, State
from broker.policy import Policy
from wire.protocol import IDEMPOTENT_METHODS


class Move(Enum):
    """What can happen to an exchange."""

    OFFER = "offer"
    FETCH = "fetch"
    ANSWER = "answer"
    FINISH = "finish"
    RELEASE = "release"
    FAIL = "fail"


TRANSITIONS: Final[dict[tuple[State, Move], State]] = {
    (State.QUEUED, Move.OFFER): State.OFFERED,
    (State.QUEUED, Move.FETCH): State.FETCHED,
    (State.OFFERED, Move.OFFER): State.OFFERED,
    (State.OFFERED, Move.FETCH): State.FETCHED,
    (State.OFFERED, Move.RELEASE): State.QUEUED,
    (State.FETCHED, Move.FETCH): State.FETCHED,
    (State.FETCHED, Move.ANSWER): State.ANSWERING,
    (State.FETCHED, Move.FINISH): State.ANSWERED,
    (State.FETCHED, Move.RELEASE): State.QUEUED,
    (State.FETCHED, Move.FAIL): State.FAILED,
    (State.ANSWERING, Move.ANSWER): State.ANSWERING,
    (State.ANSWERING, Move.FINISH): State.ANSWERED,
    (State.ANSWERING, Move.FAIL): State.FAILED,
    (State.ANSWERED, Move.ANSWER): State.ANSWERED,
    (State.ANSWERED, Move.FINISH): State.ANSWERED,
    (State.FAILED, Move.FAIL): State.FAILED,
}
"""Every move there is. What is not here is refused."""


def _moved(exchange: Exchange, move: Move) -> State:
    state = TRANSITIONS.get((exchange.state, move))
    if state is None:
        raise ClaimedElsewhere(f"an exchange that is {exchange.state.value} has no move {move.value!r}")
    return state


def is_claimable(exchange: Exchange, now: datetime, *, policy: Policy, takes_upgrades: bool = False) -> bool:
    """True while a poll may list it: queued, or offered with the lease over; and somebody still waits for it.

    One that wants to upgrade is for agents that take those: another one would answer what nobody has asked.
    """
    if is_abandoned(exchange, now, policy) or (exchange.upgrade and not takes_upgrades):
        return False
    if exchange.state is State.OFFERED:
        return exchange.leased_until is None or exchange.leased_until <= now
    return exchange.state is State.QUEUED


def is_expired(exchange: Exchange, now: datetime) -> bool:
    """True when nobody can wait for it any more, whatever has become of it."""
    return exchange.expires <= now


def is_abandoned(exchange: Exchange, now: datetime, policy: Policy) -> bool:
    """True when no agent is to begin it any more: it has expired, or nobody took it in time, and its user has been told
    so (`waiting.wait_for_answer`), or would have been by a proxy that has gone."""
    is_late = exchange.started + policy.fetch_wait <= now
    return is_expired(exchange, now) or (is_late and not is_taken(exchange))


def is_taken(exchange: Exchange) -> bool:
    """True once an agent has fetched it."""
    return exchange.state not in (State.QUEUED, State.OFFERED)


def is_in_hands(exchange: Exchange) -> bool:
    """True while an agent works on it: fetched, and its answer not complete."""
    return exchange.state in (State.FETCHED, State.ANSWERING)


def has_lapsed(exchange: Exchange, now: datetime) -> bool:
    """True once an agent has let the time pass in which it was to fetch what it was offered."""
    return exchange.state is State.OFFERED and exchange.leased_until is not None and exchange.leased_until <= now


def is_held_by(exchange: Exchange, agent_id: str) -> bool:
    """True while it is offered to this agent, or in its hands with the answer not complete."""
    return exchange.agent_id == agent_id and exchange.state in (State.OFFERED, State.FETCHED, State.ANSWERING)


def is_offered_to(exchange: Exchange, agent_id: str) -> bool:
    """True while this agent has been offered it and has not fetched it."""
    return exchange.agent_id == agent_id and exchange.state is State.OFFERED


def is_lost(exchange: Exchange, agent_id: str, lost: LostPolls) -> bool:
    """True when it was handed out to this agent in one of these polls, and has not arrived."""
    return (
        exchange.agent_id == agent_id
        and exchange.poll_id in lost.poll_ids
        and exchange.request_id not in lost.received
        and exchange.state in (State.OFFERED, State.FETCHED)
    )


def offer(exchange: Exchange, *, agent_id: str, now: datetime, policy: Policy, poll_id: str = "") -> Exchange:
    """The exchange, offered to an agent; the caller has asked `is_claimable`."""
    return exchange._replace(
        state=_moved(exchange, Move.OFFER),
        agent_id=agent_id,
        leased_until=now + policy.offer_lease,
        poll_id=poll_id,
    )


def fetch(exchange: Exchange, *, agent_id: str, now: datetime, policy: Policy, poll_id: str = "") -> Exchange:
    """The exchange, in the hands of an agent until its answer is due.

    An agent that names itself may fetch again what it holds, because the answer to its first fetch may be lost.
    Raises `ClaimedElsewhere` when another agent has it, or one that cannot be told apart, and `UnknownRequest` for one
    that is abandoned.
    """
    if is_abandoned(exchange, now, policy):
        raise UnknownRequest(exchange.request_id)
    if exchange.state is State.FETCHED and (not agent_id or agent_id != exchange.agent_id):
        raise ClaimedElsewhere("another agent has fetched this request")
    return exchange._replace(
        state=_moved(exchange, Move.FETCH),
        agent_id=agent_id,
        leased_until=exchange.started + policy.response_wait,
        expires=max(exchange.expires, now + policy.exchange_ttl),
        poll_id=poll_id,
    )


def hand_out(exchange: Exchange, poll: Poll, *, now: datetime, policy: Policy, is_whole: bool) -> Exchange:
    """The exchange, in the hands of the agent that polls; where its request is not whole, only offered to it.

    The caller has asked `is_claimable`.
    """
    give = fetch if is_whole else offer
    return give(exchange, agent_id=poll.agent_id, now=now, policy=policy, poll_id=poll.poll_id)


def require_answerable(exchange: Exchange, agent_id: str) -> None:
    """Raises `ClaimedElsewhere` for an agent that does not hold the exchange, `BrokenAnswer` when it has failed."""
    if exchange.state is State.FAILED:
        raise BrokenAnswer("this exchange has failed already")
    require_holder(exchange, agent_id)


def answer(exchange: Exchange, *, agent_id: str, last: bool, now: datetime, policy: Policy) -> Exchange:
    """The exchange with bytes of its answer stored. `last`: they reach the end. Raises as `require_answerable` does."""
    require_answerable(exchange, agent_id)
    state = _moved(exchange, Move.FINISH if last else Move.ANSWER)
    if exchange.state is State.ANSWERED:
        return exchange  # a repeated part
    return exchange._replace(state=state, expires=max(exchange.expires, now + policy.exchange_ttl))


def fail(exchange: Exchange, *, agent_id: str, reason: str) -> Exchange:
    """The exchange, its answer broken off; the first reason stays.

    Raises `ClaimedElsewhere` for an agent that does not hold it, and for one that has answered it already.
    """
    require_holder(exchange, agent_id)
    return exchange._replace(state=_moved(exchange, Move.FAIL), failure=exchange.failure or reason)


def release(exchange: Exchange, *, can_be_read_again: bool) -> Exchange:
    """The exchange after its agent has gone: back in the queue where that is safe, else failed.

    Safe means offered only, or fetched with an idempotent method and no byte of an answer (RFC 9110 section 9.2.2),
    as long as the store has its request from the first byte (`can_be_read_again`).
    """
    is_repeatable = exchange.method in IDEMPOTENT_METHODS and can_be_read_again
    is_safe = exchange.state is State.OFFERED or (exchange.state is State.FETCHED and is_repeatable)
    if is_safe:
        return take_back(exchange)
    if exchange.state in (State.FETCHED, State.ANSWERING):
        return exchange._replace(state=_moved(exchange, Move.FAIL), failure="agent-lost")
    return exchange


def take_back(exchange: Exchange) -> Exchange:
    """The exchange, in the queue again; the caller knows that nobody has begun it, or that it may be repeated."""
    return exchange._replace(state=_moved(exchange, Move.RELEASE), agent_id="", leased_until=None, poll_id="")


def require_holder(exchange: Exchange, agent_id: str) -> None:
    """Raises `ClaimedElsewhere` unless the exchange was fetched by this agent."""
    if not is_taken(exchange) or exchange.agent_id != agent_id:
        raise ClaimedElsewhere("this exchange is not in the hands of this agent")


def fresh_bytes(stored: bytes | bytearray, offset: int, data: bytes, *, starts_at: int = 0) -> bytes:
    """What of `data`, standing at `offset`, lies behind the stored bytes, which stand at `starts_at`.

    The rule that makes a repeated post harmless however it is cut: what overlaps must be equal and is dropped.
    Raises `ConflictingBytes` for a gap, for a difference, and for an overlap with bytes that are no longer there.
    """
    stored_end = starts_at + len(stored)
    require_kept(offset, starts_at=starts_at, stored_end=stored_end)
    overlap = min(stored_end - offset, len(data))
    first = offset - starts_at
    if stored[first : first + overlap] != data[:overlap]:
        raise ConflictingBytes(f"bytes at {offset} differ from the stored ones")
    return data[overlap:]


def require_kept(offset: int, *, starts_at: int, stored_end: int) -> None:
    """Raises `ConflictingBytes` for an offset that is neither within nor at the end of the bytes that are stored."""
    if offset > stored_end:
        raise ConflictingBytes(f"a gap: bytes at {offset}, stored up to {stored_end}")
    if offset < starts_at:
        raise ConflictingBytes(f"bytes at {offset} cannot be compared any more: kept from {starts_at}")


def require_end(*, stored_end: int, is_ended: bool, end: int, last: bool) -> None:
    """Raises `ConflictingBytes` when a part that ends at `end` moves the end of a stream that has ended, or ends it
    before bytes that are stored already."""
    if is_ended and end > stored_end:
        raise ConflictingBytes(f"bytes up to {end} behind the end at {stored_end}")
    if last and end < stored_end:
        raise ConflictingBytes(f"an end at {end} before the stored end at {stored_end}")
