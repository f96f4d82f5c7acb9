"""What the suites of the contract share: one policy, one moment, and the steps that most tests begin with."""

from datetime import datetime, timedelta
from typing import Any, Final

from broker.model import Exchange, HandedOut, LostPolls, Part, Poll
from broker.policy import Policy
from broker.store import Store
from tests.factories import BACKEND, a_backend, an_exchange
from tests.fakes.clock import NOON
from wire.protocol import BackendId, RequestId

POLICY: Final = Policy()
"""What every store under test is made with."""

NOW: Final = NOON
AGENT: Final = "agent-1"
OTHER_AGENT: Final = "agent-2"
OTHER_BACKEND: Final = BackendId("other")
REQUEST_BYTES: Final = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"


def later(seconds: float) -> datetime:
    """So many seconds after `NOW`."""
    return NOW + timedelta(seconds=seconds)


def queued(store: Store, request_id: str = "request-1", request: bytes = REQUEST_BYTES, **changes: Any) -> Exchange:
    """An exchange, registered with a backend and queued, its request complete."""
    exchange = an_exchange(request_id, **changes)
    store.put_backend(a_backend(exchange.backend_id))
    store.add_exchange(exchange, request, last=True)
    return exchange


def fetched(store: Store, request_id: str = "request-1", *, agent_id: str = AGENT, **changes: Any) -> Exchange:
    """An exchange in the hands of an agent."""
    exchange = queued(store, request_id, **changes)
    store.claim_pending(exchange.backend_id, agent_id=agent_id, now=NOW)
    return store.fetch_exchange(exchange.backend_id, exchange.request_id, agent_id=agent_id, now=NOW)


def answer(
    store: Store,
    offset: int,
    data: bytes,
    *,
    last: bool,
    request_id: str = "request-1",
    agent_id: str = AGENT,
    now: datetime = NOW,
) -> int:
    """Append to the answer of an exchange of `BACKEND`."""
    return store.append_answer(BACKEND, RequestId(request_id), offset, data, agent_id=agent_id, last=last, now=now)


def part_of_answer(store: Store, offset: int, request_id: str = "request-1") -> Part | None:
    """The next bytes of an answer."""
    return store.read_answer(BACKEND, RequestId(request_id), offset).part


def part_of_request(store: Store, offset: int, request_id: str = "request-1") -> Part | None:
    """The next bytes of a request."""
    return store.read_request(BACKEND, RequestId(request_id), offset)


def everything(read: Any, store: Store, request_id: str = "request-1") -> bytes:
    """All bytes of a stream that has ended, read part by part."""
    data = bytearray()
    while True:
        part = read(store, len(data), request_id)
        assert part is not None, f"no bytes at {len(data)}"
        assert part.offset == len(data)
        data += part.data
        if part.last:
            return bytes(data)


def claim(
    store: Store, *, agent_id: str = AGENT, now: datetime = NOW, backend_id: BackendId = BACKEND
) -> list[RequestId]:
    """What a poll of `BACKEND` is offered."""
    return store.claim_pending(backend_id, agent_id=agent_id, now=now)


def a_poll(poll_id: str = "poll-1", *, agent_id: str = AGENT, capacity: int = 100) -> Poll:
    """A poll of version 2."""
    return Poll(agent_id=agent_id, poll_id=poll_id, capacity=capacity)


def hand_out(
    store: Store, poll: Poll | None = None, *, now: datetime = NOW, backend_id: BackendId = BACKEND
) -> list[HandedOut]:
    """What a poll of version 2 of `BACKEND` is handed out."""
    return store.hand_out(backend_id, poll or a_poll(), now=now)


def handed_ids(store: Store, poll: Poll | None = None, *, now: datetime = NOW) -> list[RequestId]:
    """The same, by name."""
    return [each.exchange.request_id for each in hand_out(store, poll, now=now)]


def lose(
    store: Store,
    *poll_ids: str,
    received: tuple[str, ...] = (),
    agent_id: str = AGENT,
    backend_id: BackendId = BACKEND,
) -> None:
    """An agent says that answers to polls of its have not arrived whole."""
    lost = LostPolls(frozenset(poll_ids), frozenset(RequestId(name) for name in received))
    store.take_back(backend_id, lost, agent_id=agent_id, now=NOW)
