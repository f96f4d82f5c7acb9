"""`Handler`: what answers a request; and the order in which handlers stand around the backend.

A handler gives its `Response` as soon as the head is known. It may change request and response on their way, answer by
itself, or call the handler behind it; it may raise `TransportError` and `SourceBroke`.
"""

import logging
from collections.abc import Callable, Sequence

from agent.failures import CLIENT_GONE, failure_of, failure_response
from agent.hygiene import RequestRules, clean_request, clean_response
from agent.messages import Request, Response
from agent.transport.errors import SourceBroke, TransportError

logger = logging.getLogger(__name__)

Handler = Callable[[Request], Response]

Wrapper = Callable[[Handler], Handler]
"""Puts a handler around another one."""


def build_pipeline(
    backend: Handler,
    *,
    rules: RequestRules,
    shim: Callable[[Handler, Wrapper], Handler] | None = None,
    tunnels: Callable[[Handler, Wrapper], Handler] | None = None,
    pages: Sequence[Wrapper] = (),
    sessions: Wrapper | None = None,
) -> Handler:
    """The whole way of a request, from the outside in: failures, tunnels, shim, pages, sessions, hygiene, backend.

    `pages` change pages, the outermost first. `tunnels` and `shim` are given the handler of what they do not answer,
    and what is to stand around the websockets that they open: sessions and hygiene hold for them as for any request.
    """

    def around(handler: Handler) -> Handler:
        clean = cleaning(handler, rules)
        return sessions(clean) if sessions is not None else clean

    handler = around(backend)
    for page in reversed(pages):
        handler = page(handler)
    if shim is not None:
        handler = shim(handler, around)
    if tunnels is not None:
        handler = tunnels(handler, around)
    return answering_failures(handler)


def answering_failures(handler: Handler) -> Handler:
    """Turn a backend that fails before the head of its answer into an answer that says so."""

    def handle(request: Request) -> Response:
        try:
            return handler(request)
        except (TransportError, SourceBroke) as exc:
            if request.interrupt.is_triggered:
                return failure_response(CLIENT_GONE, request.request_id, method=request.head.method)
            failure = failure_of(exc)
            logger.warning("%.8s %s: %s", request.request_id, failure.reason, exc)
            return failure_response(failure, request.request_id, method=request.head.method)

    return handle


def cleaning(handler: Handler, rules: RequestRules) -> Handler:
    """Let only those header fields pass that may."""

    def handle(request: Request) -> Response:
        return clean_response(handler(clean_request(request, rules)))

    return handle
