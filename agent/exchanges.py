"""One exchange from the agent's side: fetch the request, have it handled, post the answer, write one line."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from typing import Final, Protocol

from agent.failures import AGENT_FAILED, BROKE, REQUEST_BROKE, Failure, failure_response
from agent.messages import Listed, Request, Response
from agent.pipeline import Handler
from agent.proxy.client import Fetched
from agent.proxy.errors import Gone, ProxyError
from agent.telemetry.logs import log_exchange
from agent.telemetry.observer import UNOBSERVED, FinishedExchange, Observer
from agent.transport.client import Interrupt
from agent.transport.errors import SourceBroke, TransportError
from wire.errors import WireError
from wire.http1 import End
from wire.protocol import RequestId

logger = logging.getLogger(__name__)

_LOGGED_PATH: Final = 1024
"""Characters of a path that stand in the log."""

_CLIENT_GONE: Final = "client-gone"
_UNDELIVERED: Final = "undelivered"

Told = Callable[[Exception | None], None]
"""Called when it is known what has become of an answer: None when the proxy has it, else why it has not."""


class Respond(Protocol):
    """Posts an answer, and calls `told` once, perhaps later and from another thread; the response is read by the time
    this returns. Its errors are `ProxyError`, `TransportError` and `SourceBroke`."""

    def __call__(self, request_id: RequestId, response: Response, *, method: str, told: Told) -> None: ...


class Proxy(Protocol):
    """The two calls that an exchange makes to the proxy: see `Conversation`."""

    def fetch(self, request_id: RequestId) -> Fetched: ...

    def respond(self, request_id: RequestId, response: Response, *, method: str, told: Told) -> None:
        """See `Respond`."""


class Exchanges:
    """Runs exchanges; nothing that goes wrong in one gets out of it."""

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
        self._underway: dict[RequestId, Interrupt] = {}

    def run(self, listed: Listed, ended: Callable[[], None]) -> None:
        """Answer a request, and call `ended` when that is over, perhaps later and from another thread.

        One that could not be fetched is forgotten, so that it may be offered again.
        """
        if isinstance(listed, Request):
            self._answer(listed, ended)
            return
        fetched = self._fetch(listed, ended)
        if fetched is not None:
            with closing(fetched):
                self._answer(fetched.request, ended)

    def _fetch(self, request_id: RequestId, ended: Callable[[], None]) -> Fetched | None:
        """The request; None if there is none to answer, and then `ended` is seen to."""
        try:
            return self._proxy.fetch(request_id)
        except WireError as exc:
            logger.warning("%.8s the proxy's message is not a request: %s", request_id, exc)
            self._observer.fetch_failed()
            response = failure_response(REQUEST_BROKE, request_id, method="GET")
            self._proxy.respond(request_id, response, method="GET", told=partial(_report_failed, request_id, ended))
            return None
        except Gone as exc:
            logger.debug("%.8s nothing to do: %s", request_id, exc)
        except (ProxyError, TransportError) as exc:
            logger.warning("%.8s could not be fetched: %s", request_id, exc)
            self._observer.fetch_failed()
        self._forget(request_id)
        ended()
        return None

    def _answer(self, request: Request, ended: Callable[[], None]) -> None:
        self.open(request, ended).run(self._handler)

    def open(self, request: Request, ended: Callable[[], None]) -> "Exchange":
        """Begin with a request that is here; its `run` is to follow."""
        self._observer.exchange_began()
        self._underway[request.request_id] = request.interrupt

        def end() -> None:
            self._underway.pop(request.request_id, None)
            ended()

        return Exchange(request, self._proxy, self._observer, end)

    def give_up(self, request_ids: Iterable[RequestId]) -> None:
        """Nobody waits for the answers to these any more: end the calls to the backend that are made for them."""
        for request_id in request_ids:
            interrupt = self._underway.get(request_id)
            if interrupt is not None:
                logger.debug("%.8s its client has gone", request_id)
                interrupt.trigger()


class Exchange:
    """A request that has come, until it is known what has become of its answer."""

    def __init__(self, request: Request, proxy: Proxy, observer: Observer, ended: Callable[[], None]) -> None:
        self._request = request
        self._proxy = proxy
        self._observer = observer
        self._ended = ended
        self._started = time.monotonic()
        self._bytes = 0
        self._status = 0
        self._reason = ""

    def run(self, handler: Handler, *, respond: Respond | None = None) -> None:
        """Have the request answered, and the answer posted, by `respond` if that is given."""
        try:
            with closing(self._handle(handler)) as response:
                self._status, self._reason = response.head.status, response.failure
                (respond or self._proxy.respond)(
                    self._request.request_id,
                    response.with_events(self._counting(response.events)),
                    method=self._request.head.method,
                    told=self._told_of_answer,
                )
        except Exception:
            logger.exception("%.8s the agent failed", self._request.request_id)
            self.end(AGENT_FAILED.status, AGENT_FAILED.reason)

    def _handle(self, handler: Handler) -> Response:
        try:
            return handler(self._request)
        except Exception:
            logger.exception("%.8s the agent failed", self._request.request_id)
            return failure_response(AGENT_FAILED, self._request.request_id, method=self._request.head.method)

    def _counting(self, events: Iterator[bytes | End]) -> Iterator[bytes | End]:
        for event in events:
            self._bytes += len(event) if isinstance(event, bytes) else 0
            yield event

    def _told_of_answer(self, why_not: Exception | None) -> None:
        if isinstance(why_not, SourceBroke) and self._request.interrupt.is_triggered:
            why_not = Gone("the call to the backend was cut short for that")
        if isinstance(why_not, SourceBroke):
            logger.warning("%.8s the backend's answer broke off: %s", self._request.request_id, why_not)
            self._answer_failure(BROKE)
            return
        if isinstance(why_not, Gone):
            logger.info("%.8s nobody waits for the answer any more", self._request.request_id)
        elif why_not is not None:
            logger.warning("%.8s the answer could not be delivered: %s", self._request.request_id, why_not)
        self.end(self._status, self._reason or _reason_of(why_not))

    def _answer_failure(self, failure: Failure) -> None:
        """Say that the answer is none."""
        request_id, method = self._request.request_id, self._request.head.method

        def end() -> None:
            self.end(failure.status, failure.reason)

        response = failure_response(failure, request_id, method=method)
        self._proxy.respond(request_id, response, method=method, told=partial(_report_failed, request_id, end))

    def end(self, status: int, reason: str) -> None:
        """Count it, write its line, and give its slot back."""
        finished = FinishedExchange(
            self._request.request_id,
            self._request.head.method,
            self._request.head.target.partition("?")[0][:_LOGGED_PATH],
            status,
            self._bytes,
            time.monotonic() - self._started,
            reason,
        )
        self._observer.exchange_ended(finished)
        log_exchange(logger, finished)
        self._ended()


def _reason_of(why_not: Exception | None) -> str:
    if why_not is None:
        return ""
    return _CLIENT_GONE if isinstance(why_not, Gone) else _UNDELIVERED


def _report_failed(request_id: RequestId, ended: Callable[[], None], why_not: Exception | None) -> None:
    """What has become of the word that an exchange failed."""
    if isinstance(why_not, Gone):
        logger.debug("%.8s the proxy has ended the exchange already", request_id)
    elif why_not is not None:
        logger.warning("%.8s its failure could not be reported: %s", request_id, why_not)
    ended()
