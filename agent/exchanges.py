"""One exchange from the agent's side: fetch the request, have it handled, post the answer, write one line."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Final, Protocol

from agent.failures import AGENT_FAILED, BROKE, REQUEST_BROKE, Failure, failure_response
from agent.messages import Request, Response
from agent.pipeline import Handler
from agent.proxy.client import Fetched
from agent.proxy.errors import Gone, ProxyError
from agent.telemetry.logs import log_exchange
from agent.telemetry.observer import UNOBSERVED, FinishedExchange, Observer
from agent.transport.errors import SourceBroke, TransportError
from wire.errors import WireError
from wire.http1 import End
from wire.protocol import RequestId

logger = logging.getLogger(__name__)

_LOGGED_PATH: Final = 1024
"""Characters of a path that stand in the log."""

_CLIENT_GONE: Final = "client-gone"
_UNDELIVERED: Final = "undelivered"


class Proxy(Protocol):
    """The two calls that an exchange makes to the proxy: see `ProxyClient`."""

    def fetch(self, request_id: RequestId) -> Fetched: ...
    def respond(self, request_id: RequestId, response: Response, *, method: str) -> None: ...


class _Count:
    """The bytes of a body that have passed."""

    def __init__(self) -> None:
        self.bytes = 0

    def passing(self, events: Iterator[bytes | End]) -> Iterator[bytes | End]:
        for event in events:
            self.bytes += len(event) if isinstance(event, bytes) else 0
            yield event


class Exchanges:
    """Runs exchanges, each in the thread that calls; nothing that goes wrong in one gets out of it."""

    def __init__(
        self,
        proxy: Proxy,
        handler: Handler,
        *,
        forget: Callable[[RequestId], None],
        observer: Observer = UNOBSERVED,
    ) -> None:
        self._proxy = proxy
        self._handler = handler
        self._forget = forget
        self._observer = observer

    def run(self, request_id: RequestId) -> None:
        """Answer one pending request; an ID that could not be fetched is forgotten, so that it may be offered again."""
        try:
            fetched = self._proxy.fetch(request_id)
        except WireError as exc:
            logger.warning("%.8s the proxy's message is not a request: %s", request_id, exc)
            self._observer.fetch_failed()
            self._respond_failure(request_id, REQUEST_BROKE, method="GET")
        except Gone as exc:
            logger.debug("%.8s nothing to do: %s", request_id, exc)
            self._forget(request_id)
        except (ProxyError, TransportError) as exc:
            logger.warning("%.8s could not be fetched: %s", request_id, exc)
            self._observer.fetch_failed()
            self._forget(request_id)
        else:
            with closing(fetched):
                self._answer(fetched.request)

    def _answer(self, request: Request) -> None:
        started = time.monotonic()
        count = _Count()
        status, reason = AGENT_FAILED.status, AGENT_FAILED.reason
        self._observer.exchange_began()
        try:
            with closing(self._handle(request)) as response:
                counted = replace(response, events=count.passing(response.events))
                status, reason = self._respond(request, counted)
        finally:
            finished = FinishedExchange(
                request.request_id,
                request.head.method,
                request.head.target.partition("?")[0][:_LOGGED_PATH],
                status,
                count.bytes,
                time.monotonic() - started,
                reason,
            )
            self._observer.exchange_ended(finished)
        log_exchange(logger, finished)

    def _handle(self, request: Request) -> Response:
        try:
            return self._handler(request)
        except Exception:
            logger.exception("%.8s the agent failed", request.request_id)
            return failure_response(AGENT_FAILED, method=request.head.method)

    def _respond(self, request: Request, response: Response) -> tuple[int, str]:
        """Post an answer; its status, and why it was not the backend's whole answer, or not taken: empty if it was."""
        request_id, method, status = request.request_id, request.head.method, response.head.status
        try:
            self._proxy.respond(request_id, response, method=method)
        except SourceBroke as exc:
            logger.warning("%.8s the backend's answer broke off: %s", request_id, exc)
            self._respond_failure(request_id, BROKE, method=method)
            return BROKE.status, BROKE.reason
        except Gone:
            logger.info("%.8s nobody waits for the answer any more", request_id)
            return status, response.failure or _CLIENT_GONE
        except (ProxyError, TransportError) as exc:
            logger.warning("%.8s the answer could not be delivered: %s", request_id, exc)
            return status, response.failure or _UNDELIVERED
        return status, response.failure

    def _respond_failure(self, request_id: RequestId, failure: Failure, *, method: str) -> None:
        try:
            self._proxy.respond(request_id, failure_response(failure, method=method), method=method)
        except Gone:
            logger.debug("%.8s the proxy has ended the exchange already", request_id)
        except (ProxyError, TransportError) as exc:
            logger.warning("%.8s its failure could not be reported: %s", request_id, exc)
