"""What the three services do around each request: an ID, errors as answers, one line in the log.

Flask's own manners are switched off where they would get between a caller and the service: no redirects for slashes, no
automatic OPTIONS. Beside `edge.wsgi` the only module that knows Flask.
"""

import logging
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from broker.errors import NotAllowed
from broker.store import Store
from broker.waiting import Clock
from edge.audit import log_refusal
from edge.errors import INTERNAL, NO_SUCH_PATH, Failure, Form, describe, method_not_allowed, render
from edge.logs import Access, cloud_trace_of, escaped, log_access
from edge.repetitions import Repetitions
from edge.wsgi import PlainResponse, peer_of, whole
from wire.errors import MalformedMessage
from wire.headers import Headers
from wire.protocol import BackendId, RequestId, trace_of

logger = logging.getLogger(__name__)

PLATFORM_PATHS: Final = ("/_ah/warmup", "/_ah/start")
"""App Engine calls these to wake an instance."""

_NOBODY: Final = BackendId("warm-up")


@dataclass(slots=True)
class Record:
    """What the log will tell of the request in hand; a service fills in what it learns."""

    request_id: RequestId
    """Fresh: a service that queues an exchange gives it this ID."""
    trace: str
    started: datetime
    first_byte: datetime | None = None
    backend: str = ""
    reason: str = ""
    received: int = 0
    sent: int = 0

    def counting(self, slices: Iterable[bytes]) -> Iterator[bytes]:
        """The slices of the request's body, counted."""
        for data in slices:
            self.received += len(data)
            yield data


def current_record() -> Record:
    """The record of the request in hand."""
    record: Record = g.record
    return record


def new_request_id() -> RequestId:
    """128 random bits: whoever knows the ID of an exchange can ask for it by name."""
    return RequestId(secrets.token_urlsafe(16))


def make_service(
    name: str,
    *,
    store: Store,
    clock: Clock,
    new_id: Callable[[], RequestId],
    form_for: Callable[[str | None], Form],
    project: str = "",
) -> Flask:
    """A Flask application without routes but the platform's own: who is woken asks `store` for something, so that the
    first request of somebody finds the connection made.

    `form_for` gives the form of an error's answer by the caller's `Accept`.
    """
    app = Flask(name, static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False
    repetitions = Repetitions()

    @app.before_request
    def begin() -> None:
        request_id = new_id()
        g.record = Record(request_id, trace_of(request_id), clock.now())

    @app.errorhandler(Exception)
    def answer_error(exc: Exception) -> PlainResponse:
        record = current_record()
        failure = _describe(exc)
        record.reason = failure.reason
        if isinstance(exc, NotAllowed):
            log_refusal(f"{request.method} {request.path}", exc, peer=peer_of(request.environ))
        _log_cause(exc, failure, record, repetitions, now=clock.now())
        return whole(render(failure, form=form_for(request.headers.get("Accept")), trace=record.trace))

    @app.after_request
    def finish(response: Response) -> Response:
        record = current_record()
        record.first_byte = clock.now()
        response.response = _watched(response.response, record)
        response.call_on_close(_access_logger(record, response.status_code, clock, project))
        return response

    def wake() -> PlainResponse:
        store.get_statuses([_NOBODY])
        return whole((200, Headers(), b""))

    for path in PLATFORM_PATHS:
        app.add_url_rule(path, path, view_func=wake)
    return app


def _access_logger(record: Record, status: int, clock: Clock, project: str) -> Callable[[], None]:
    """Writes the line of the current request; called when its answer is over, and the request is gone from Flask."""
    method, target = request.method, request.environ.get("RAW_URI", request.path)
    cloud_trace = cloud_trace_of(request.headers.get("X-Cloud-Trace-Context"), project=project)

    def log() -> None:
        access = Access(
            trace=record.trace,
            method=method,
            target=target,
            status=status,
            received=record.received,
            sent=record.sent,
            first_byte=record.first_byte - record.started if record.first_byte else None,
            total=clock.now() - record.started,
            backend=record.backend,
            reason=record.reason,
        )
        log_access(logger, access, cloud_trace=cloud_trace)

    return log


def _describe(exc: Exception) -> Failure:
    """As the table has it; and what Flask's router says of paths and methods."""
    if isinstance(exc, MethodNotAllowed):
        return method_not_allowed(*sorted(exc.valid_methods or ()))
    if isinstance(exc, NotFound):
        return NO_SUCH_PATH
    return describe(MalformedMessage("") if isinstance(exc, HTTPException) else exc)


def _log_cause(exc: Exception, failure: Failure, record: Record, repetitions: Repetitions, *, now: datetime) -> None:
    """What the caller is not told. A full request ID never gets into the log."""
    if failure == INTERNAL:
        logger.error("%s a fault", record.trace, exc_info=exc)
    elif failure.status >= 500 and (left_out := repetitions.left_out(type(exc).__name__, now=now)) is not None:
        cause = escaped(str(exc).replace(record.request_id, record.trace))
        more = f" (and {left_out} more since the last such line)" if left_out else ""
        logger.warning("%s %s: %s%s", record.trace, failure.reason, cause, more)


def _watched(body: Iterable[bytes] | Iterable[str], record: Record) -> Iterator[bytes]:
    """The body as it goes out, counted; why it ends early, if it does."""
    try:
        for data in body:
            piece = data.encode() if isinstance(data, str) else data
            record.sent += len(piece)
            yield piece
    except GeneratorExit:
        record.reason = record.reason or "client-gone"
        raise
    except Exception as exc:
        record.reason = describe(exc).reason
        raise
