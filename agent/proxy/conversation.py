"""The conversation with the proxy, in the newest version of the protocol that both sides speak.

Each poll asks for version 2, and its answer tells: so a proxy that is replaced by an older or a newer one is noticed
with the next poll. Answers go together, in batches, while the proxy speaks version 2.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from agent.crew import Crew
from agent.messages import Listed, Response
from agent.proxy.client import Fetched, ProxyClient
from agent.proxy.errors import ProxyError
from agent.proxy.fetches import fetch_together
from agent.proxy.outbox import Answer, Outbox
from agent.proxy.posts import Posts
from agent.proxy.replay import comes_whole, inner_head, read_whole
from agent.telemetry.observer import UNOBSERVED, Observer
from agent.transport.client import Interrupt
from agent.transport.errors import SourceBroke, TransportError
from wire.protocol import RequestId

logger = logging.getLogger(__name__)

_REFUSED_FOR: Final = 60.0
"""Seconds until answers are posted together again, after a proxy that speaks version 2 did not take them so."""


Told = Callable[[Exception | None], None]


class Conversation:
    """Asks, fetches and answers: what `Poller` and `Exchanges` have of the proxy."""

    def __init__(
        self,
        client: ProxyClient,
        *,
        crew: Crew | None = None,
        needs_version_2: bool = False,
        observer: Observer = UNOBSERVED,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`crew` has threads for what waits behind a call that takes long; `now` gives seconds.

        With `needs_version_2` nothing is taken from a proxy that speaks version 1, and it is asked only once: the
        original's gives each request to each agent that asks, so that there may be one.
        """
        self._client = client
        self._needs_version_2 = needs_version_2
        self._observer = observer
        self._now = now
        self._together_from = 0.0
        self._outbox = Outbox(
            Posts(client, on_refusal=self._post_alone_for_a_while).post,
            width=lambda: client.calls.round_trip.width,
            crew=crew or Crew("exchange"),
        )
        self.most_polls = 1
        """How many polls the proxy likes to have at a time."""
        self._most_fetches = 1
        self.version = 0
        """Of the protocol, as the proxy speaks it; 0 as long as it has not said."""

    @property
    def is_batched(self) -> bool:
        """True while the proxy speaks version 2."""
        return self.version == 2

    @property
    def width(self) -> int:
        """How many polls keep the link busy."""
        return min(self._client.calls.round_trip.width, self.most_polls)

    def poll(self, interrupt: Interrupt, *, capacity: int) -> Sequence[Listed]:
        """See `Polls`. Raises `ProxyError` where version 2 is needed and not spoken."""
        self._require_version()
        polled = self._client.polls.poll(interrupt, capacity=capacity)
        if polled.is_batch is not None:
            self.most_polls = polled.welcome if polled.is_batch else 1
            self._most_fetches = polled.fetches if polled.is_batch else 1
            self._note_version(2 if polled.is_batch else 1)
        self._require_version()
        return polled.listed

    def take(self, listed: Sequence[Listed]) -> Sequence[Listed]:
        """See `fetch_together`."""
        return fetch_together(self._client.calls, listed, most=self._most_fetches)

    def _note_version(self, version: int) -> None:
        if version != self.version:
            self.version = version
            logger.info("the proxy speaks version %d of the protocol", version)
            self._observer.version_found(version)

    def _require_version(self) -> None:
        if self._needs_version_2 and self.version == 1:
            raise ProxyError("the proxy speaks version 1 of the protocol, with which one worker may ask")

    def leave(self) -> bool:
        """See `Polls`."""
        return self._client.polls.leave()

    def fetch(self, request_id: RequestId) -> Fetched:
        """See `ProxyClient`."""
        return self._client.fetch(request_id)

    def respond(
        self,
        request_id: RequestId,
        response: Response,
        *,
        method: str,
        told: Told,
    ) -> None:
        """Post the answer to a request made with `method`.

        `told` is called once it is known what has become of it, perhaps later and from another thread: with None when
        the proxy has it, else with the `ProxyError`, the `TransportError`, or `SourceBroke` for an answer that broke
        off. The response has been read when this returns.
        """
        answer = self._encode(request_id, response, method=method, told=told)
        if answer is not None:
            self._outbox.put(answer)

    def gather(self) -> "Gathered":
        """For answers that go together."""
        return Gathered(self._encode, self._outbox)

    def _encode(self, request_id: RequestId, response: Response, *, method: str, told: Told) -> Answer | None:
        """A small answer, whole, that may wait for others; None where there is nothing to wait for any more: it is
        posted, or it broke off."""
        if response.is_delivered:
            told(None)
            return None
        try:
            inner = inner_head(response.head, method=method)
            if not self._goes_together:
                self._client.respond(request_id, response, method=method)
            elif comes_whole(response, inner):
                return Answer(request_id, read_whole(response, inner), response.failure, told)
            else:
                self._client.post_streaming(request_id, response, inner)
        except (ProxyError, TransportError, SourceBroke) as exc:
            told(exc)
        else:
            told(None)
        return None

    @property
    def _goes_together(self) -> bool:
        return self.is_batched and self._now() >= self._together_from

    def _post_alone_for_a_while(self) -> None:
        self._together_from = self._now() + _REFUSED_FOR


class Gathered:
    """Answers that are posted together once all are here."""

    def __init__(self, encode: Callable[..., Answer | None], outbox: Outbox) -> None:
        self._encode = encode
        self._outbox = outbox
        self._answers: list[Answer] = []

    def respond(self, request_id: RequestId, response: Response, *, method: str, told: Told) -> None:
        """See `Conversation`."""
        answer = self._encode(request_id, response, method=method, told=told)
        if answer is not None:
            self._answers.append(answer)

    def post(self) -> None:
        """Have what is here posted."""
        answers, self._answers = self._answers, []
        if answers:
            self._outbox.put(*answers)
