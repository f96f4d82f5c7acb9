"""The calls of an agent: what is pending, I ask no more, give me a request, its answer (`docs/protocol.md`).

An answer whose post breaks off stays open: the agent retries from the first byte, perhaps cut otherwise. Only the
agent, by saying so, or a deadline ends it.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Final, TypeVar

from flask import Flask, request

from broker.answers import ANSWER_TOO_LARGE, post_answer
from broker.batches import Postbox, as_batch, take_named
from broker.errors import UnknownBackend
from broker.model import Backend, Exchange, HandedOut, Part, Poll
from broker.policy import Policy
from broker.store import Store
from broker.waiting import Clock, Waiter, drive, wait_for_handout, wait_for_pending, wait_for_request
from edge.agent_batches import RECEIPT_FIELDS, batch_of, lost_polls_of, poll_of
from edge.agent_calls import agent_id_of, backend_id_of, named_agent_of, request_fields, request_id_of, request_ids_of
from edge.departures import Departures
from edge.identity import Identity, require_agent
from edge.service import Record, current_record, make_service, new_request_id
from edge.wsgi import Cutter, Environ, PlainResponse, caller_of, read_body, request_head, streamed, whole, within
from wire.batches import ANSWERS, BatchParser
from wire.errors import MessageTooLarge
from wire.headers import Headers
from wire.http1 import RequestHead, ResponseHead
from wire.negotiation import accepts_batches, boundary_of, encode_receipt
from wire.protocol import (
    ERROR,
    FETCHES,
    MAX_HEAD_BYTES,
    PENDING_PATH,
    REQUEST_PATH,
    RESPONSE_PATH,
    BackendId,
    RequestId,
    encode_pending,
    trace_of,
)

_AT_ONCE: Final = 16
"""How many messages of batches are stored or fetched at once, in one process."""

_FETCHES: Final = (FETCHES, str(_AT_ONCE))

T = TypeVar("T")
R = TypeVar("R")


def create_app(
    *,
    store: Store,
    waiter: Waiter,
    clock: Clock,
    identity: Identity,
    policy: Policy,
    gives_requests: bool = True,
    new_id: Callable[[], RequestId] = new_request_id,
    project: str = "",
) -> Flask:
    """The service; `new_id` names requests that are none of an exchange, for the log.

    Without `gives_requests` a poll of version 2 only names them, and they are fetched: for a platform that does not
    tell when the agent of a waiting poll has been killed, because what that one was given would be lost to its user."""
    app = make_service(
        "agent_service", store=store, clock=clock, new_id=new_id, form_for=lambda accept: "text", project=project
    )
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="messages")
    agents = _Agents(store, waiter, clock, identity, policy, Departures(), pool, Cutter(clock), gives_requests)

    @app.get(PENDING_PATH)
    def pending() -> PlainResponse:
        return agents.pending(request.environ, current_record())

    @app.delete(PENDING_PATH)
    def leave() -> PlainResponse:
        return agents.leave(request.environ, current_record())

    @app.get(REQUEST_PATH)
    def fetch() -> PlainResponse:
        are_several = accepts_batches(request.headers.get("Accept"))
        return (agents.fetch_several if are_several else agents.fetch)(request.environ, current_record())

    @app.post(RESPONSE_PATH)
    def answer() -> PlainResponse:
        return agents.answer(request.environ, current_record())

    return app


@dataclass(frozen=True, slots=True)
class _Caller:
    """An agent that may serve a backend, and the request it speaks of."""

    head: RequestHead
    backend_id: BackendId
    agent_id: str


@dataclass(frozen=True, slots=True)
class _Agents:
    store: Store
    waiter: Waiter
    clock: Clock
    identity: Identity
    policy: Policy
    departures: Departures
    pool: Executor
    cutter: Cutter
    gives_requests: bool

    def pending(self, environ: Environ, record: Record) -> PlainResponse:
        """The requests that wait, as soon as there are any, or none after a while."""
        caller = self._caller(environ, record)
        has_left = self.departures.watch(caller.backend_id, caller.agent_id)
        self.store.touch_backend(caller.backend_id, polled=self.clock.now())
        self._take_back_lost(caller)
        poll = poll_of(caller.head.headers, self.policy, offers_only=not self.gives_requests)
        return self._list_pending(caller, has_left) if poll is None else self._hand_out(caller, poll, has_left)

    def _list_pending(self, caller: _Caller, has_left: Callable[[], bool]) -> PlainResponse:
        waiting = wait_for_pending(
            self.store, self.clock, self.policy, caller.backend_id, agent_id=caller.agent_id, is_over=has_left
        )
        body = encode_pending(drive(waiting, self.waiter))
        return whole((200, Headers([("Content-Type", "application/json")]), body))

    def _hand_out(self, caller: _Caller, poll: Poll, has_left: Callable[[], bool]) -> PlainResponse:
        waiting = wait_for_handout(self.store, self.clock, self.policy, caller.backend_id, poll, is_over=has_left)
        handed = drive(waiting, self.waiter)
        if not handed:
            return whole((204, Headers(), b""))
        fields, body = batch_of(handed)
        return whole((200, fields if self.gives_requests else Headers([*fields, _FETCHES]), body))

    def _take_back_lost(self, caller: _Caller) -> None:
        lost = lost_polls_of(caller.head.headers)
        if lost.poll_ids:
            self.store.take_back(caller.backend_id, lost, agent_id=caller.agent_id, now=self.clock.now())

    def leave(self, environ: Environ, record: Record) -> PlainResponse:
        """The agent asks for no more: what is on offer to it is for others."""
        caller = self._caller(environ, record)
        agent_id = named_agent_of(caller.head.headers)
        self.departures.note(caller.backend_id, agent_id)
        self._take_back_lost(caller)
        self.store.release_offers(caller.backend_id, agent_id=agent_id)
        return whole((204, Headers(), b""))

    def fetch(self, environ: Environ, record: Record) -> PlainResponse:
        """One request, as it comes in from its user."""
        caller = self._caller(environ, record)
        request_id = request_id_of(caller.head.headers)
        record.trace = trace_of(request_id)
        exchange = self.store.fetch_exchange(
            caller.backend_id, request_id, agent_id=caller.agent_id, now=self.clock.now()
        )
        first = self._next_part(exchange, 0)
        length = len(first.data) if first.last else None
        head = ResponseHead(200, request_fields(exchange), length)
        return streamed(head, self._request_bytes(exchange, first))

    def fetch_several(self, environ: Environ, record: Record) -> PlainResponse:
        """Requests that were named, as many of them as this agent gets."""
        caller = self._caller(environ, record)
        agent_id = named_agent_of(caller.head.headers)

        def take(request_id: RequestId) -> HandedOut | None:
            return take_named(self.store, self.clock, caller.backend_id, request_id, agent_id=agent_id)

        handed = as_batch(filter(None, self._all_at_once(take, request_ids_of(caller.head.headers))))
        return whole((200, *batch_of(handed)) if handed else (204, Headers(), b""))

    def answer(self, environ: Environ, record: Record) -> PlainResponse:
        """An answer, or a batch of them."""
        caller = self._caller(environ, record)
        slices = record.counting(read_body(environ, caller.head.length))
        boundary = boundary_of(caller.head.headers.get("Content-Type"))
        if boundary is None:
            return self._take_answer(caller, slices, record)
        return self._take_batch(caller, slices, BatchParser(boundary, ANSWERS))

    def _take_batch(self, caller: _Caller, slices: Iterator[bytes], parser: BatchParser) -> PlainResponse:
        postbox = Postbox(self.store, self.clock, self.policy, caller.backend_id, agent_id=caller.agent_id)
        for data in slices:
            for _ in self._all_at_once(postbox.take, parser.feed(data)):
                pass
        parser.close()
        return whole((200, RECEIPT_FIELDS, encode_receipt(postbox.receipt())))

    def _all_at_once(self, act: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """In threads of their own: to a store that is elsewhere each is a call."""
        context = copy_context()  # App Engine's memcache takes calls with the ticket of a request alone
        return self.pool.map(lambda item: context.copy().run(act, item), items)

    def _take_answer(self, caller: _Caller, slices: Iterator[bytes], record: Record) -> PlainResponse:
        """An answer, stored as it comes; or the word that there will be none."""
        request_id = request_id_of(caller.head.headers)
        record.trace = trace_of(request_id)
        error = caller.head.headers.get(ERROR)
        for part in self.cutter.cut(self._within_limit(caller, request_id, slices)):
            waiting = post_answer(
                self.store,
                self.clock,
                self.policy,
                caller.backend_id,
                request_id,
                part,
                agent_id=caller.agent_id,
                error=error,
            )
            drive(waiting, self.waiter)
        return whole((200, Headers(), b""))

    def _within_limit(self, caller: _Caller, request_id: RequestId, slices: Iterator[bytes]) -> Iterator[bytes]:
        """The slices of an answer; one that is too long for the platform fails, so that its user learns why."""
        most = self.policy.max_body_bytes + MAX_HEAD_BYTES
        error = MessageTooLarge(f"an answer over the limit of {self.policy.max_body_bytes} bytes")
        try:
            if isinstance(caller.head.length, int) and caller.head.length > most:
                raise error
            yield from within(slices, most, error)
        except MessageTooLarge:
            self.store.fail_exchange(caller.backend_id, request_id, agent_id=caller.agent_id, reason=ANSWER_TOO_LARGE)
            raise

    def _caller(self, environ: Environ, record: Record) -> _Caller:
        head = request_head(environ)
        account = self.identity.backend_account(caller_of(environ, head))
        backend_id = backend_id_of(head.headers)
        require_agent(self._find_backend(backend_id), account)
        record.backend = backend_id
        return _Caller(head, backend_id, agent_id_of(head.headers))

    def _find_backend(self, backend_id: BackendId) -> Backend | None:
        try:
            return self.store.get_backend(backend_id)
        except UnknownBackend:
            return None

    def _next_part(self, exchange: Exchange, offset: int) -> Part:
        waiting = wait_for_request(
            self.store, self.clock, self.policy, exchange.backend_id, exchange.request_id, offset
        )
        return drive(waiting, self.waiter)

    def _request_bytes(self, exchange: Exchange, part: Part) -> Iterator[bytes]:
        yield part.data
        while not part.last:
            part = self._next_part(exchange, part.end)
            yield part.data
