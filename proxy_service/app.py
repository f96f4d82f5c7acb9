"""The one door for users: every method and every path, ahead of Flask's router, which would decode paths, merge their
slashes and answer OPTIONS itself."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from flask import Flask, request

from broker.errors import BrokenAnswer, StoreUnavailable, UnknownRequest
from broker.intake import Intake, admit_request, too_large
from broker.model import Exchange, Part
from broker.policy import Policy
from broker.routing import path_of
from broker.store import Store
from broker.waiting import Clock, Waiter, append_all_of_request, drive
from edge.errors import choose_form
from edge.identity import Identity
from edge.service import PLATFORM_PATHS, Record, current_record, make_service, new_request_id
from edge.upgrades import refuse_upgrade
from edge.wsgi import (
    Cutter,
    Environ,
    PlainResponse,
    caller_of,
    client_of,
    read_body,
    request_head,
    streamed,
    within,
)
from proxy_service.answer import IncomingAnswer
from proxy_service.removals import Removals
from wire.http1 import End, RequestHead, encode_body, encode_end
from wire.protocol import RequestId, trace_of

logger = logging.getLogger(__name__)


def create_app(
    *,
    store: Store,
    waiter: Waiter,
    clock: Clock,
    identity: Identity,
    policy: Policy,
    new_id: Callable[[], RequestId] = new_request_id,
    on_appengine: bool = False,
    project: str = "",
    removals: Removals | None = None,
) -> Flask:
    """The service. `on_appengine`: believe what App Engine's front end says of the client's address. Without `removals`
    what was delivered or given up is removed before the next request comes over its connection."""
    app = make_service("proxy_service", store=store, clock=clock, new_id=new_id, form_for=choose_form, project=project)
    remove = partial(_remove, store) if removals is None else removals.add
    users = _Users(store, waiter, clock, identity, policy, Cutter(clock), on_appengine, remove)

    @app.before_request
    def serve() -> PlainResponse | None:
        is_the_platforms = path_of(request.environ.get("RAW_URI", request.path)) in PLATFORM_PATHS
        return None if is_the_platforms else users.serve(request.environ, current_record())

    return app


@dataclass(frozen=True, slots=True)
class _Users:
    """A request becomes an exchange, waits for its answer, and gets it."""

    store: Store
    waiter: Waiter
    clock: Clock
    identity: Identity
    policy: Policy
    cutter: Cutter
    on_appengine: bool
    remove: Callable[[Exchange], None]

    def serve(self, environ: Environ, record: Record) -> PlainResponse:
        """The answer, begun: its head is there, its body may still be coming."""
        head = request_head(environ)
        refuse_upgrade(head)
        intake = admit_request(
            self.store,
            self.clock,
            self.policy,
            head,
            end_user=self.identity.end_user(caller_of(environ, head)),
            client=client_of(environ, on_appengine=self.on_appengine),
            new_id=lambda: record.request_id,
        )
        exchange = intake.exchange
        record.backend = exchange.backend_id
        answer = IncomingAnswer(self.store, self.waiter, self.clock, self.policy, exchange)
        try:
            self._send(exchange, self.cutter.cut(self._message(intake, head, environ, record)))
            response = streamed(answer.head(), answer.body())
        except BaseException:
            self.remove(exchange)
            raise
        response.call_on_close(lambda: self.remove(exchange))
        return response

    def _message(self, intake: Intake, head: RequestHead, environ: Environ, record: Record) -> Iterator[bytes]:
        """The request as it travels: the head that the agent gets, the body in its framing."""
        yield intake.head
        body = record.counting(read_body(environ, head.length))
        for data in within(body, self.policy.max_body_bytes, too_large(self.policy)):
            yield encode_body(data, head.length)
        yield encode_end(End(), head.length)

    def _send(self, exchange: Exchange, parts: Iterator[Part]) -> None:
        first = next(parts)
        self.store.add_exchange(exchange, first.data, last=first.last)
        try:
            for part in parts:
                waiting = append_all_of_request(
                    self.store, self.clock, self.policy, exchange.backend_id, exchange.request_id, part
                )
                drive(waiting, self.waiter)
        except UnknownRequest as exc:
            raise BrokenAnswer("the request was removed while it was sent") from exc


def _remove(store: Store, exchange: Exchange) -> None:
    """Delivered or given up. What cannot be removed now is for the sweep."""
    try:
        store.delete_exchange(exchange.backend_id, exchange.request_id)
    except StoreUnavailable as exc:
        logger.warning("%s not removed: %s", trace_of(exchange.request_id), exc)
