"""What the calls to the proxy have in common: who calls, and when an attempt is repeated.

Credentials go to the configured origin alone: no redirect is followed, whatever it is.
"""

import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar
from urllib.parse import urlsplit

from agent.backoff import CALLING
from agent.identity.credentials import Credentials
from agent.identity.errors import CredentialsError
from agent.proxy.errors import ProxyUnavailable, Unauthorized, Unidentified
from agent.proxy.outbound import outbound_fields
from agent.proxy.round_trip import RoundTrip
from agent.telemetry.observer import UNOBSERVED, Observer
from agent.transport.client import HttpClient, Interrupt, Reply
from agent.transport.errors import TransportError
from agent.transport.upload import Body
from wire.headers import Headers
from wire.http1 import Length, RequestHead
from wire.protocol import AGENT_ID, BACKEND_ID

logger = logging.getLogger(__name__)

SILENCE: Final = 30.0
"""Seconds that the proxy may be silent in a fetch or a post."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AgentIdentity:
    """Who calls: on every call to the proxy."""

    backend_id: str
    agent_id: str
    user_agent: str


class Calls:
    """Calls to the proxy at `url`, with or without a path."""

    def __init__(
        self,
        client: HttpClient,
        *,
        url: str,
        identity: AgentIdentity,
        credentials: Credentials,
        jitter: Callable[[], float],
        sleep: Callable[[float], object],
        observer: Observer = UNOBSERVED,
        outbound: str | None = None,
    ) -> None:
        """`outbound` is the URL of an HTTP proxy on the way that `client` connects to; None for none."""
        parts = urlsplit(url)
        is_relayed = outbound is not None and parts.scheme == "http"
        self._client = client
        self._prefix = (f"http://{parts.netloc}" if is_relayed else "") + parts.path.rstrip("/")
        self._fields = (
            ("Host", parts.netloc),
            ("User-Agent", identity.user_agent),
            (BACKEND_ID, identity.backend_id),
            (AGENT_ID, identity.agent_id),
            *(outbound_fields(outbound) if outbound and is_relayed else ()),
        )
        self._credentials = credentials
        self.round_trip = RoundTrip(now=time.monotonic)
        self._jitter = jitter
        self._sleep = sleep
        self._observer = observer

    def call(
        self,
        head: RequestHead,
        body: bytes | Body = b"",
        *,
        limit: float | None = SILENCE,
        interrupt: Interrupt | None = None,
        may_repeat: bool = True,
    ) -> Reply:
        """Send a request to the proxy; see `HttpClient`."""
        return self._client.call(head, body, limit=limit, interrupt=interrupt, may_repeat=may_repeat)

    def head(self, method: str, path: str, *fields: tuple[str, str], length: Length = None) -> RequestHead:
        """The head of a call. Raises `Unidentified`."""
        try:
            headers = Headers([*self._fields, *fields, *self._credentials.fields()])
        except CredentialsError as exc:
            raise Unidentified(str(exc)) from exc
        return RequestHead(method, self._prefix + path, headers, length)

    def retried(
        self,
        attempt: Callable[[], T],
        *,
        within: timedelta,
        may_repeat: Callable[[], bool] = lambda: True,
        before_pause: Callable[[], None] = lambda: None,
    ) -> T:
        """Attempt again, with growing pauses, what may work later; once more with a new token what is unauthorized.

        `before_pause` is called before each pause.
        """
        give_up_at = time.monotonic() + within.total_seconds()
        is_refreshed = False
        for number in itertools.count():
            try:
                return attempt()
            except Unauthorized:
                if is_refreshed or not may_repeat():
                    raise
                is_refreshed = True
                self._credentials.refresh()
                continue
            except (TransportError, ProxyUnavailable) as exc:
                delay = CALLING.delay(number, jitter=self._jitter()).total_seconds()
                if not may_repeat() or time.monotonic() + delay >= give_up_at:
                    raise
                logger.debug("trying again in %.1f s: %s", delay, exc)
                self._observer.call_retried()
            before_pause()
            self._sleep(delay)
        raise AssertionError("unreachable: the loop ends by returning or raising")
