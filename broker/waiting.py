"""The loops that wait, written once for threads and for asyncio.

A loop is a generator: it asks the store, and where it has to wait it yields a `Wait`; whoever drives it waits in its
own way and resumes it. Waking is a hint ("something may have changed"), never a promise, so every loop asks again.
"""

from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, Protocol, TypeVar

from broker.errors import BackendOffline, BrokenAnswer, NoAnswer
from broker.exchange import is_taken
from broker.model import Exchange, HandedOut, Part, Poll, State
from broker.policy import Policy
from broker.store import Store
from wire.protocol import BackendId, RequestId

T = TypeVar("T")


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """The time, aware, in UTC."""
        ...


class PendingKey(NamedTuple):
    """Something that waits for work of a backend."""

    backend_id: BackendId


class ExchangeKey(NamedTuple):
    """Something that waits for bytes, or for room, in an exchange."""

    request_id: RequestId
    kind: Literal["exchange"] = "exchange"
    """Tells it from the key of a backend that has the name of a request."""


Key = PendingKey | ExchangeKey


class Wait(NamedTuple):
    """A wish: wake me when something about `key` may have changed, at the latest after `timeout`.

    `waited` tells a waiter that can only look again and again how long this has lasted.
    """

    key: Key
    timeout: timedelta
    waited: timedelta


Waiting = Generator[Wait, None, T]
"""A loop that waits and at last returns a `T`."""


class Waiter(Protocol):
    """Threads' way to wait."""

    def ticket(self) -> int:
        """Taken before the store is asked: a change that comes after it is not slept through."""
        ...

    def wait(self, wait: Wait, *, ticket: int) -> None:
        """Return when the key may have changed since the ticket, or after the timeout, or earlier."""
        ...


def drive(waiting: Waiting[T], waiter: Waiter) -> T:
    """Run a loop in this thread, to its result."""
    while True:
        ticket = waiter.ticket()
        try:
            wait = next(waiting)
        except StopIteration as stop:
            result: T = stop.value
            return result
        waiter.wait(wait, ticket=ticket)


_NOTHING: Final = timedelta()


class _Patience(NamedTuple):
    """A wait for `key` that began at a time and ends after `limit`."""

    key: Key
    began: datetime
    limit: timedelta

    def is_over(self, now: datetime) -> bool:
        return now - self.began >= self.limit

    def wait(self, now: datetime, *, at_most: timedelta | None = None) -> Wait:
        waited = now - self.began
        left = self.limit - waited
        if at_most is not None and at_most < left:
            left = at_most
        return Wait(self.key, max(left, _NOTHING), waited)


def wait_for_pending(
    store: Store,
    clock: Clock,
    policy: Policy,
    backend_id: BackendId,
    *,
    agent_id: str,
    is_over: Callable[[], bool] = lambda: False,
    takes_upgrades: bool = False,
) -> Waiting[list[RequestId]]:
    """Claimed requests as soon as there are any; none after `policy.list_wait`, or once the poll `is_over`: since it
    began its agent has said that it asks no more, or has lost the right to ask."""
    patience = _Patience(PendingKey(backend_id), clock.now(), policy.list_wait)
    while not is_over():
        now = clock.now()
        claimed = store.claim_pending(backend_id, agent_id=agent_id, now=now, takes_upgrades=takes_upgrades)
        if claimed and is_over():
            # Between the question and the claim.
            store.release_offers(backend_id, agent_id=agent_id)
            break
        if claimed or patience.is_over(now):
            return claimed
        # An offer that another agent lets lapse wakes nobody: look again when it can have.
        yield patience.wait(now, at_most=policy.offer_lease)
    return []


def wait_for_handout(
    store: Store,
    clock: Clock,
    policy: Policy,
    backend_id: BackendId,
    poll: Poll,
    *,
    is_over: Callable[[], bool] = lambda: False,
    has_news: Callable[[], bool] = lambda: False,
) -> Waiting[list[HandedOut]]:
    """Requests in the hands of an agent as soon as there are any; as `wait_for_pending` otherwise.

    News for the agent ends the wait after `policy.news_wait`: a poll that brought nothing but news, one after another,
    would keep it from the requests that come meanwhile.
    """
    patience = _Patience(PendingKey(backend_id), clock.now(), policy.list_wait)
    while not is_over():
        now = clock.now()
        handed = store.hand_out(backend_id, poll, now=now)
        if handed and is_over():
            store.take_back(backend_id, poll.as_lost, agent_id=poll.agent_id, now=now)
            break
        if handed or patience.is_over(now):
            return handed
        at_most = policy.offer_lease
        if has_news():
            at_most = patience.began + policy.news_wait - now
            if at_most <= _NOTHING:
                break
        yield patience.wait(now, at_most=at_most)
    return []


def wait_for_request(
    store: Store, clock: Clock, policy: Policy, backend_id: BackendId, request_id: RequestId, offset: int
) -> Waiting[Part]:
    """The next bytes of a request. Raises `NoAnswer` when its sender is silent for `policy.idle_wait`."""
    patience = _Patience(ExchangeKey(request_id), clock.now(), policy.idle_wait)
    while True:
        part = store.read_request(backend_id, request_id, offset)
        if part is not None:
            return part
        now = clock.now()
        if patience.is_over(now):
            raise NoAnswer("the client stopped sending its request")
        yield patience.wait(now)


def wait_for_answer(
    store: Store,
    clock: Clock,
    policy: Policy,
    exchange: Exchange,
    offset: int,
    *,
    is_sent: Callable[[], bool] = lambda: True,
) -> Waiting[Part]:
    """The next bytes of an answer.

    Raises `BackendOffline` when no agent fetched the request within `policy.fetch_wait`; `NoAnswer` when the first byte
    takes longer than `policy.response_wait` from the request's start, or a further one longer than `policy.idle_wait`;
    `BrokenAnswer`, with the reason, when it broke off. A request whose body is still on its way, so that `is_sent` is
    false, may take any time: whoever sends it sees to its end.
    """
    key, now = ExchangeKey(exchange.request_id), clock.now()
    patience = _Patience(key, now, policy.idle_wait if offset else exchange.started + policy.response_wait - now)
    while True:
        # Before it is read: what was not taken then, is not taken any more.
        is_late = clock.now() >= exchange.started + policy.fetch_wait
        answer = store.read_answer(exchange.backend_id, exchange.request_id, offset)
        if answer.part is not None:
            return answer.part
        if answer.exchange.state is State.FAILED:
            raise BrokenAnswer("the answer was given up before its end", reason=answer.exchange.failure)
        now = clock.now()
        if is_late and not is_taken(answer.exchange):
            raise BackendOffline("no agent took the request in time")
        left_to_fetch = None if is_taken(answer.exchange) else exchange.started + policy.fetch_wait - now
        if not is_sent():
            patience = _Patience(key, now, policy.response_wait)
        if patience.is_over(now):
            raise NoAnswer("the backend did not answer in time" if not offset else "the backend stopped answering")
        yield patience.wait(now, at_most=left_to_fetch)


def append_all_of_request(
    store: Store,
    clock: Clock,
    policy: Policy,
    backend_id: BackendId,
    request_id: RequestId,
    part: Part,
) -> Waiting[None]:
    """Store a part of a request, waiting for room. Raises `NoAnswer` when the agent does not read for
    `policy.room_wait`."""

    def append(offset: int, data: bytes) -> int:
        return store.append_request(backend_id, request_id, offset, data, last=part.last, now=clock.now())

    return _append_all(append, part, clock, ExchangeKey(request_id), policy.room_wait)


def append_all_of_answer(
    store: Store,
    clock: Clock,
    policy: Policy,
    backend_id: BackendId,
    request_id: RequestId,
    part: Part,
    *,
    agent_id: str,
) -> Waiting[None]:
    """Store a part of an answer, waiting for room. Raises `NoAnswer` when the client does not read for
    `policy.room_wait`, or `policy.unread_wait` if that is longer."""

    def append(offset: int, data: bytes) -> int:
        return store.append_answer(
            backend_id, request_id, offset, data, agent_id=agent_id, last=part.last, now=clock.now()
        )

    return _append_all(append, part, clock, ExchangeKey(request_id), max(policy.room_wait, policy.unread_wait))


def _append_all(
    append: Callable[[int, bytes], int], part: Part, clock: Clock, key: ExchangeKey, limit: timedelta
) -> Waiting[None]:
    stored, patience = append(part.offset, part.data), None
    while stored < part.end:
        now = clock.now()
        patience = patience or _Patience(key, now, limit)
        if patience.is_over(now):
            raise NoAnswer("the other side stopped reading")
        yield patience.wait(now)
        before, stored = stored, append(stored, part.data[stored - part.offset :])
        if stored > before:
            patience = None
