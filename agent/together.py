"""Several requests in one thread: all are sent to the backend, and each is answered when its answer is here.

Waking a thread, and handing it the interpreter's lock, costs more than a small request. So what came in one batch is
begun at once, over connections that are idle, and what the backend answers within a moment is posted together. Whatever
would keep the others waiting goes to a thread of its own: a slow backend costs a moment, and nobody's turn.
"""

import logging
import select
from collections.abc import Callable, Sequence
from typing import Final

from agent.crew import Crew
from agent.exchanges import Exchange, Exchanges
from agent.hygiene import RequestRules, clean_request, clean_response
from agent.messages import Request, Response
from agent.pipeline import Handler, answering_failures
from agent.proxy.conversation import Gathered
from agent.proxy.replay import inner_head, is_small
from agent.transport.client import Reply
from agent.transport.errors import NothingReceived, TransportError
from wire.errors import WireError
from wire.protocol import IDEMPOTENT_METHODS

logger = logging.getLogger(__name__)

_PATIENCE: Final = 2
_MORE_PATIENCE: Final = 1
"""Milliseconds that answers may take: the first, and then each after the one before."""

Ended = Callable[[], None]


class Together:
    """Runs requests that came together, where nothing but the rules for header fields stands before the backend."""

    def __init__(
        self,
        begin: Callable[[Request], Reply | None],
        rules: RequestRules,
        *,
        handler: Handler,
        exchanges: Exchanges,
        gather: Callable[[], Gathered],
        crew: Crew,
    ) -> None:
        """`begin` sends a request to its backend, and `handler` is the whole way, for what cannot go this one."""
        self._begin = begin
        self._rules = rules
        self._handler = handler
        self._exchanges = exchanges
        self._gather = gather
        self._crew = crew

    def run(self, requests: Sequence[tuple[Request, Ended]]) -> None:
        """Answer requests, each with what is to be called at its end."""
        gathered = self._gather()
        underway: dict[int, _Underway] = {}
        poll = select.poll()
        for request, ended in requests:
            exchange = self._exchanges.open(request, ended)
            begun = _Underway(request, exchange, self._handler)
            if begun.begin(self._begin, self._rules):
                poll.register(begun, select.POLLIN)
                underway[begun.fileno()] = begun
            else:
                self._crew.run(begun.finish)
        patience = _PATIENCE
        while underway and (ready := poll.poll(patience)):
            patience = _MORE_PATIENCE
            for number, _ in ready:
                each = underway[number]
                if not each.advance():
                    continue
                poll.unregister(number)
                del underway[number]
                if each.is_small:
                    each.finish(gathered)
                else:
                    self._crew.run(each.finish)
        for each in underway.values():
            self._crew.run(each.finish)
        gathered.post()


class _Underway:
    """One request on its way."""

    def __init__(self, request: Request, exchange: Exchange, handler: Handler) -> None:
        self._request = request
        self._exchange = exchange
        self._handler = handler
        self._reply: Reply | None = None
        self._error: TransportError | None = None

    def begin(self, begin: Callable[[Request], Reply | None], rules: RequestRules) -> bool:
        """Send it; False where only `finish` is left to do."""
        try:
            self._reply = begin(clean_request(self._request, rules))
        except TransportError as exc:
            self._error = exc
        except (WireError, ValueError):
            # Nothing is sent; the whole way says what is wrong.
            logger.debug("%.8s cannot be sent as it is", self._request.request_id)
        return self._reply is not None

    def fileno(self) -> int:
        assert self._reply is not None
        return self._reply.fileno()

    def advance(self) -> bool:
        """Take what has come; True if that is all, or nothing more will come."""
        assert self._reply is not None
        try:
            return self._reply.advance()
        except TransportError as exc:
            self._error = exc
            return True

    @property
    def is_small(self) -> bool:
        """True for an answer that keeps nobody waiting: it is here, and goes with others."""
        if self._error is not None or self._reply is None:
            return False
        return is_small(inner_head(self._reply.head, method=self._request.head.method))

    def finish(self, gathered: Gathered | None = None) -> None:
        """Answer it, waiting for what has not come yet."""
        is_stale = isinstance(self._error, NothingReceived) and self._error.was_kept
        is_unsent = self._reply is None and self._error is None
        if is_unsent or (is_stale and self._request.head.method in IDEMPOTENT_METHODS):
            self._exchange.run(self._handler)
        else:
            self._exchange.run(answering_failures(self._respond), respond=gathered.respond if gathered else None)

    def _respond(self, request: Request) -> Response:
        if self._error is not None:
            raise self._error
        assert self._reply is not None
        self._reply.wait_for_head()
        reply = self._reply
        response = Response(reply.head, reply.events(), abort=reply.abort, close=reply.close, arrives=reply.arrives)
        return clean_response(response)
