"""Answers, in the two places where they are handled: posted by an agent, and read for a client."""

from dataclasses import replace
from typing import Final

from broker.errors import BrokenAnswer, ClaimedElsewhere, ConflictingBytes, is_reason
from broker.forwarding import forwarded_response
from broker.model import Exchange, Part
from broker.policy import Policy
from broker.store import Store
from broker.waiting import Clock, Waiting, append_all_of_answer
from wire.errors import MalformedMessage, WireError
from wire.http1 import Event, ResponseHead, ResponseParser
from wire.protocol import ERROR, TRACE_ID, BackendId, RequestId, trace_of

EMPTY_ANSWER: Final = "empty-answer"
ANSWER_TOO_LARGE: Final = "answer-too-large"
AGENT_ERROR: Final = "agent-error"
"""In the place of a reason of the agent's that is not a word."""


def post_answer(
    store: Store,
    clock: Clock,
    policy: Policy,
    backend_id: BackendId,
    request_id: RequestId,
    part: Part,
    *,
    agent_id: str,
    error: str | None = None,
) -> Waiting[None]:
    """Store a part of what an agent posted, waiting for room.

    `error` is the agent's reason (`X-Inverting-Proxy-Error` of the post) why the backend's answer cannot be completed;
    the post is then an answer of the agent's own. It is the answer where none has begun; where one has, that one has
    failed, and the rest of the post is of no use to anybody.

    Raises `UnknownRequest`, `ClaimedElsewhere` (also for an answer that has failed already: the agent may drop it),
    `ConflictingBytes`, `NoAnswer` when the client does not read, and for a post of no bytes at all `MalformedMessage`:
    the answer has failed then.
    """
    if part == Part(0, b"", last=True):
        store.fail_exchange(backend_id, request_id, agent_id=agent_id, reason=EMPTY_ANSWER)
        raise MalformedMessage("an answer of no bytes")
    try:
        yield from append_all_of_answer(store, clock, policy, backend_id, request_id, part, agent_id=agent_id)
    except (ConflictingBytes, BrokenAnswer) as exc:
        if error is None and isinstance(exc, BrokenAnswer):
            raise ClaimedElsewhere("the answer has failed already") from exc
        if error is None:
            raise
        reason = error if is_reason(error) else AGENT_ERROR
        store.fail_exchange(backend_id, request_id, agent_id=agent_id, reason=reason)


class AnswerReader:
    """From the bytes of an answer, as they come out of a store, to what its client is sent."""

    def __init__(self, exchange: Exchange) -> None:
        self._parser = ResponseParser(exchange.method, forgives_empty_chunks=True)
        self._trace = trace_of(exchange.request_id)

    def read(self, part: Part) -> list[Event]:
        """The events that a part completes, the head as it travels on. Parts come in order, each once.

        Raises `BrokenAnswer` for bytes that are not an answer, and for a last part that does not complete one.
        """
        return [self._forwarded(event) for event in self._parse(part)]

    def _parse(self, part: Part) -> list[Event]:
        try:
            events = self._parser.feed(part.data)
            return events + self._parser.close() if part.last else events
        except WireError as exc:
            raise BrokenAnswer(f"not an HTTP answer: {exc}") from exc

    def _forwarded(self, event: Event) -> Event:
        return self._explained(forwarded_response(event)) if isinstance(event, ResponseHead) else event

    def _explained(self, head: ResponseHead) -> ResponseHead:
        """A head, and of a failure of the agent's what there is on one of the proxy's: a reason that is a word, and the
        name of the request in the logs."""
        reasons = head.headers.get_all(ERROR)
        if not reasons:
            return head
        if not all(is_reason(reason) for reason in reasons):
            head = replace(head, headers=head.headers.without(ERROR).adding((ERROR, AGENT_ERROR)))
        return replace(head, headers=head.headers.adding((TRACE_ID, self._trace)))
