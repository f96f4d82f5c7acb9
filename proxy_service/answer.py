"""An exchange's answer as it comes in: its head once that is whole, then its body, piece by piece."""

from collections import deque
from collections.abc import Iterator

from broker.answers import AnswerReader
from broker.errors import BrokenAnswer, UnknownRequest
from broker.model import Exchange, Part
from broker.policy import Policy
from broker.store import Store
from broker.waiting import Clock, Waiter, drive, wait_for_answer
from wire.http1 import End, Event, ResponseHead


class IncomingAnswer:
    """Reads one answer, waiting for it. Every step raises what `wait_for_answer` does, and `BrokenAnswer` for bytes
    that are no HTTP answer or stop before its end."""

    def __init__(self, store: Store, waiter: Waiter, clock: Clock, policy: Policy, exchange: Exchange) -> None:
        self._store = store
        self._waiter = waiter
        self._clock = clock
        self._policy = policy
        self._exchange = exchange
        self._reader = AnswerReader(exchange)
        self._events: deque[Event] = deque()
        self._offset = 0

    def head(self) -> ResponseHead:
        """The head as the client shall see it, once something of its body is there, or its end.

        A WSGI server sends nothing before the first piece of a body (PEP 3333): until there is one, a failure can be
        told. An answer that came to its end by then has been checked to its end.
        """
        head = self._next_event()
        assert isinstance(head, ResponseHead)  # a parser gives a head first
        self._wait_for_event()
        return head

    def body(self) -> Iterator[bytes]:
        """What follows the head. Trailers end here: WSGI has no place for them."""
        while not isinstance(event := self._next_event(), End):
            assert isinstance(event, bytes)  # a parser gives one head only
            yield event

    def _next_event(self) -> Event:
        self._wait_for_event()
        return self._events.popleft()

    def _wait_for_event(self) -> None:
        while not self._events:
            part = self._next_part()
            self._offset = part.end
            self._events += self._reader.read(part)

    def _next_part(self) -> Part:
        waiting = wait_for_answer(self._store, self._clock, self._policy, self._exchange, self._offset)
        try:
            return drive(waiting, self._waiter)
        except UnknownRequest as exc:
            raise BrokenAnswer("the request was removed while it waited") from exc
