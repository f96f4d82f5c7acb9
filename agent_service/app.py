"""The calls of an agent: what is pending, I ask no more, give me a request, its answer (`docs/protocol.md`).

An answer whose post breaks off stays open: the agent retries from the first byte, perhaps cut otherwise. Only the
agent, by saying so, or a deadline ends it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flask import Flask, request

from broker.answers import post_answer
from broker.errors import UnknownBackend
from broker.model import Backend, Exchange, Part
from broker.policy import Policy
from broker.store import Store
from broker.waiting import Clock, Waiter, drive, wait_for_pending, wait_for_request
from edge.agent_calls import agent_id_of, backend_id_of, leaving_agent_of, request_fields, request_id_of
from edge.departures import Departures
from edge.identity import Identity, require_agent
from edge.logs import trace_of
from edge.service import Record, current_record, make_service, new_request_id
from edge.wsgi import Environ, PlainResponse, caller_of, cut_into_parts, read_body, request_head, streamed, whole
from wire.headers import Headers
from wire.http1 import RequestHead, ResponseHead
from wire.protocol import ERROR, PENDING_PATH, REQUEST_PATH, RESPONSE_PATH, BackendId, RequestId, encode_pending


def create_app(
    *,
    store: Store,
    waiter: Waiter,
    clock: Clock,
    identity: Identity,
    policy: Policy,
    new_id: Callable[[], RequestId] = new_request_id,
    project: str = "",
) -> Flask:
    """The service; `new_id` names requests that are none of an exchange, for the log."""
    app = make_service("agent_service", clock=clock, new_id=new_id, form_for=lambda accept: "text", project=project)
    agents = _Agents(store, waiter, clock, identity, policy, Departures())

    @app.get(PENDING_PATH)
    def pending() -> PlainResponse:
        return agents.pending(request.environ, current_record())

    @app.delete(PENDING_PATH)
    def leave() -> PlainResponse:
        return agents.leave(request.environ, current_record())

    @app.get(REQUEST_PATH)
    def fetch() -> PlainResponse:
        return agents.fetch(request.environ, current_record())

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

    def pending(self, environ: Environ, record: Record) -> PlainResponse:
        """The requests that wait, as soon as there are any, or none after a while."""
        caller = self._caller(environ, record)
        has_left = self.departures.watch(caller.backend_id, caller.agent_id)
        self.store.touch_backend(caller.backend_id, polled=self.clock.now())
        waiting = wait_for_pending(
            self.store, self.clock, self.policy, caller.backend_id, agent_id=caller.agent_id, has_left=has_left
        )
        body = encode_pending(drive(waiting, self.waiter))
        return whole((200, Headers([("Content-Type", "application/json")]), body))

    def leave(self, environ: Environ, record: Record) -> PlainResponse:
        """The agent asks for no more: what is on offer to it is for others."""
        caller = self._caller(environ, record)
        agent_id = leaving_agent_of(caller.head.headers)
        self.departures.note(caller.backend_id, agent_id)
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

    def answer(self, environ: Environ, record: Record) -> PlainResponse:
        """An answer, stored as it comes; or the word that there will be none."""
        caller = self._caller(environ, record)
        request_id = request_id_of(caller.head.headers)
        record.trace = trace_of(request_id)
        error = caller.head.headers.get(ERROR)
        for part in cut_into_parts(record.counting(read_body(environ, caller.head.length)), self.clock):
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
