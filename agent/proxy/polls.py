"""Polls: what waits for this agent, in either version of the protocol; the proxy's answer says which one it speaks."""

import logging
import secrets
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from agent.messages import Listed, id_of
from agent.proxy.calls import Calls
from agent.proxy.errors import ProxyError, require_no_page, require_success
from agent.proxy.lost_polls import LostPolls
from agent.proxy.request_batches import read_batch
from agent.telemetry.observer import Observer
from agent.transport.client import Interrupt, Reply
from agent.transport.errors import NothingReceived, TimedOut, TransportError, Unreachable
from wire.errors import WireError
from wire.negotiation import ACCEPT, boundary_of, parse_welcome
from wire.protocol import (
    CAPABILITIES,
    CAPACITY,
    FETCHES,
    GONE,
    MAX_PENDING_BYTES,
    NO_REQUEST,
    PENDING_PATH,
    POLL_ID,
    POLLS,
    REQUEST_ID,
    TUNNEL,
    RequestId,
    decode_pending,
)

logger = logging.getLogger(__name__)

_RETRIES: Final = timedelta()
"""The poller has a pace of its own."""

_LEAVING: Final = 2.0
"""Seconds that the proxy may take to hear that the agent asks no more: nobody waits longer at its end."""


@dataclass(frozen=True, slots=True)
class Polled:
    """What a poll brought."""

    listed: list[Listed]
    is_batch: bool | None
    """True for version 2 of the protocol, False for version 1; None if there was no answer to tell by."""
    welcome: int = 1
    """How many polls of this agent the proxy likes to have at a time."""
    fetches: int = 1
    """How many requests it gives in one fetch."""


class Polls:
    """Long polls at the proxy. Every call raises `ProxyError` and `TransportError`."""

    def __init__(
        self, calls: Calls, *, limit: float | None, takes_upgrades: bool, observer: Observer, now: Callable[[], float]
    ) -> None:
        """`limit` is that of one poll, in seconds; None for none. `now` gives seconds."""
        self._calls = calls
        self._limit = limit
        self._capabilities = ((CAPABILITIES, TUNNEL),) if takes_upgrades else ()
        self._observer = observer
        self._lost = LostPolls(now=now)
        self.on_gone: Callable[[list[RequestId]], None] = _nobody_cares
        """Told of requests, in the hands of this agent, for whose answers nobody waits any more."""

    def poll(self, interrupt: Interrupt, *, capacity: int) -> Polled:
        """What waits for this agent, up to `capacity` requests: one long poll, which `interrupt` may end with a
        `TransportError`.

        Nothing when the poll's own time runs out. Raises `WireError` for an answer that is neither batch nor list.
        """
        return self._calls.retried(lambda: self._attempt(interrupt, capacity), within=_RETRIES)

    def leave(self) -> bool:
        """Say that this agent asks for nothing until it does again: what is on offer to it goes to others at once.

        True if the proxy has understood that; a proxy that does not know of it is left in peace, whatever it answers.
        """
        # The original tells calls apart by whether they name a request, whatever their method and path are: without
        # a name this would be a poll to it, whose list nobody reads. With this one it answers 404.
        try:
            head = self._calls.head("DELETE", PENDING_PATH, (REQUEST_ID, NO_REQUEST), *self._lost.fields())
            with closing(self._calls.call(head, limit=_LEAVING)) as reply:
                return reply.head.status == 204
        except (ProxyError, TransportError) as exc:
            logger.debug("the proxy could not be told that this agent asks no more: %s", exc)
            return False

    def _attempt(self, interrupt: Interrupt, capacity: int) -> Polled:
        while True:
            try:
                return self._ask(interrupt, capacity)
            except NothingReceived as exc:
                # The proxy may have closed a kept connection in the same moment. Another poll has another name.
                if not exc.was_kept or interrupt.is_triggered:
                    raise

    def _ask(self, interrupt: Interrupt, capacity: int) -> Polled:
        poll_id = secrets.token_urlsafe(12)
        head = self._calls.head(
            "GET",
            PENDING_PATH,
            ("Accept", ACCEPT),
            (POLL_ID, poll_id),
            (CAPACITY, str(capacity)),
            *self._capabilities,
            *self._lost.fields(),
        )
        listed: list[Listed] = []
        try:
            with closing(self._calls.call(head, limit=self._limit, interrupt=interrupt, may_repeat=False)) as reply:
                require_success(reply.head, target=head.target)
                if gone := reply.head.headers.get(GONE):
                    self.on_gone([RequestId(name) for name in gone.split()])
                welcome, fetches = (parse_welcome(reply.head.headers.get(name)) for name in (POLLS, FETCHES))
                polled = Polled(listed, is_batch=_read(reply, listed), welcome=welcome, fetches=fetches)
        except Unreachable:
            raise
        except (ProxyError, TransportError, WireError) as exc:
            self._lost.add(poll_id, [id_of(each) for each in listed])
            if not listed and not isinstance(exc, TimedOut):
                raise
            logger.debug("a poll was lost: %s", exc)
            return Polled(listed, is_batch=True if listed else None)
        # Here and not in the poller: a poll that ran out of time says nothing about the proxy.
        self._observer.poll_answered()
        return polled


def _nobody_cares(request_ids: list[RequestId]) -> None:
    """They are answered all the same."""


def _read(reply: Reply, listed: list[Listed]) -> bool:
    """Add what has come, as it comes; True if it is a batch. Raises `NotAProxy`, `TransportError` and `WireError`."""
    if reply.head.status == 204:
        reply.read(0)
        return True
    boundary = boundary_of(reply.head.headers.get("Content-Type"))
    if boundary is None:
        body = reply.read(MAX_PENDING_BYTES)
        require_no_page(reply.head, body)
        listed += decode_pending(body)
        return False
    read_batch(reply, boundary, listed)
    return True
