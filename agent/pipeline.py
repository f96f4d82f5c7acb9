"""`Handler`: what answers a request; and the order in which handlers stand around the backend.

A handler gives its `Response` as soon as the head is known. It may change request and response on their way, answer by
itself, or call the handler behind it; it may raise `TransportError` and `SourceBroke`.
"""

import logging
from collections.abc import Callable

from agent.failures import failure_of, failure_response
from agent.hygiene import RequestRules, clean_request, clean_response
from agent.messages import Request, Response
from agent.transport.errors import SourceBroke, TransportError

logger = logging.getLogger(__name__)

Handler = Callable[[Request], Response]


def build_pipeline(backend: Handler, *, forwards_user_id: bool, strips_credentials: bool) -> Handler:
    """The whole way of a request, from the outside in: failures, hygiene, backend."""
    clean = cleaning(backend, forwards_user_id=forwards_user_id, strips_credentials=strips_credentials)
    return answering_failures(clean)


def answering_failures(handler: Handler) -> Handler:
    """Turn a backend that fails before the head of its answer into an answer that says so."""

    def handle(request: Request) -> Response:
        try:
            return handler(request)
        except (TransportError, SourceBroke) as exc:
            failure = failure_of(exc)
            logger.warning("%.8s %s: %s", request.request_id, failure.reason, exc)
            return failure_response(failure, method=request.head.method)

    return handle


def cleaning(handler: Handler, *, forwards_user_id: bool, strips_credentials: bool) -> Handler:
    """Let only those header fields pass that may."""
    rules = RequestRules(forwards_user_id=forwards_user_id, strips_credentials=strips_credentials)

    def handle(request: Request) -> Response:
        return clean_response(handler(clean_request(request, rules)))

    return handle
