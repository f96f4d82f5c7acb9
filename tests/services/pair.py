"""The services for users and for agents over one memory store, in this process, and an agent that does as told."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import agent_service.app
import proxy_service.app
from broker.clock import SystemClock
from broker.model import Backend
from broker.policy import Policy
from proxy_service.removals import Removals
from stores.memory.store import MemoryStore, MemoryWaiter
from tests.factories import BACKEND, a_backend
from tests.fakes.identity import FakeIdentity
from wire.headers import Headers
from wire.http1 import (
    CHUNKED,
    End,
    Length,
    RequestHead,
    RequestParser,
    ResponseHead,
    encode_body,
    encode_end,
    serialize_response_head,
)
from wire.protocol import AGENT_ID, BACKEND_ID, ERROR, PENDING_PATH, REQUEST_ID, REQUEST_PATH, RESPONSE_PATH, RequestId

USER = "user@example.com"
AGENT = "agent@example.com"

PATIENT = Policy(max_body_bytes=6_000_000)
"""Nothing ends because its time is over, however slow the machine is; a test of that replaces one of its waits."""

HASTY = replace(PATIENT, list_wait=timedelta(milliseconds=50))
"""For polls that shall bring nothing: also one that shall bring something may have to be repeated."""


def raw_answer(
    status: int = 200,
    body: bytes = b"hello",
    *pairs: tuple[str, str],
    is_chunked: bool = False,
    trailers: Headers | None = None,
) -> bytes:
    """A whole HTTP answer as bytes."""
    length: Length = CHUNKED if is_chunked else len(body)
    head = serialize_response_head(ResponseHead(status, Headers(pairs), length))
    return head + encode_body(body, length) + encode_end(End(trailers or Headers()), length)


@dataclass(frozen=True)
class Received:
    """A request as an agent got it."""

    head: RequestHead
    body: bytes
    fields: Headers
    """Those of the answer to the fetch."""
    raw: bytes


class ScriptedAgent:
    """Calls the agents' service, when the test says so."""

    def __init__(self, client: FlaskClient, *, agent_id: str = "agent-1", backend_id: str = BACKEND) -> None:
        self._client = client
        self._own = {BACKEND_ID: backend_id, AGENT_ID: agent_id} if agent_id else {BACKEND_ID: backend_id}

    def poll(self) -> TestResponse:
        return self._client.get(PENDING_PATH, headers=self._own)

    def next_id(self) -> RequestId:
        """The ID of the one request that waits, or comes soon."""
        while not (listed := self.poll().get_json()):
            continue
        (request_id,) = listed
        return RequestId(request_id)

    def fetch(self, request_id: str) -> TestResponse:
        return self._client.get(REQUEST_PATH, headers=self._own | {REQUEST_ID: request_id})

    def receive(self, request_id: str) -> Received:
        """The request, parsed."""
        fetched = self.fetch(request_id)
        assert fetched.status_code == 200, fetched.text
        parser = RequestParser()
        events = parser.feed(fetched.data) + parser.close()
        assert isinstance(events[0], RequestHead)
        body = b"".join(event for event in events if isinstance(event, bytes))
        return Received(events[0], body, Headers(fetched.headers.items()), fetched.data)

    def post(
        self, request_id: str, answer: bytes, *, error: str | None = None, is_chunked: bool = False
    ) -> TestResponse:
        fields = self._own | {REQUEST_ID: request_id} | ({} if error is None else {ERROR: error})
        environ = {"HTTP_TRANSFER_ENCODING": "chunked"} if is_chunked else {}
        return self._client.post(
            RESPONSE_PATH, headers=fields, data=answer, content_type="text/plain", environ_overrides=environ
        )

    def serve(self, answer: bytes) -> Received:
        """Take the next request and answer it."""
        request_id = self.next_id()
        received = self.receive(request_id)
        posted = self.post(request_id, answer)
        assert posted.status_code == 200, posted.text
        return received


class Pair:
    """Both services, one backend registered and online; over a memory store of a kind with some limits."""

    def __init__(
        self,
        *,
        policy: Policy = PATIENT,
        backend: Backend | None = None,
        user: str = USER,
        kind: type[MemoryStore] = MemoryStore,
        gives_requests: bool = True,
        removals: Removals | None = None,
        **limits: int,
    ) -> None:
        self.clock = SystemClock()
        self.store = kind(policy, **limits)
        self.backend = backend or a_backend(backend_user=AGENT)
        self.identity = FakeIdentity(user=user, account=AGENT)
        self.store.put_backend(self.backend)
        self.store.touch_backend(self.backend.backend_id, polled=self.clock.now())
        ports: dict[str, Any] = {
            "store": self.store,
            "waiter": MemoryWaiter(self.store),
            "clock": self.clock,
            "identity": self.identity,
            "policy": policy,
        }
        self.proxy = proxy_service.app.create_app(**ports, removals=removals)
        self.agents = agent_service.app.create_app(**ports, gives_requests=gives_requests)
        self.user = self.proxy.test_client(use_cookies=False)

    def agent(self, agent_id: str = "agent-1", backend_id: str = BACKEND) -> ScriptedAgent:
        return ScriptedAgent(self.agents.test_client(use_cookies=False), agent_id=agent_id, backend_id=backend_id)

    def store_answer(self, request_id: RequestId, offset: int, data: bytes, *, last: bool = False) -> None:
        """Bytes of an answer, as if the agent's post had brought them so far."""
        self.store.append_answer(
            self.backend.backend_id, request_id, offset, data, agent_id="agent-1", last=last, now=self.clock.now()
        )

    @contextmanager
    def asking(self, target: str = "/", method: str = "GET", **more: Any) -> Iterator["Future[TestResponse]"]:
        """A user's request, under way in a thread."""
        with ThreadPoolExecutor(1) as pool:
            yield pool.submit(self.user.open, target, method=method, buffered=True, **more)

    def ask(self, answer: bytes, target: str = "/", method: str = "GET", **more: Any) -> tuple[TestResponse, Received]:
        """A user's request, answered by the agent: what the user got, and what the agent got."""
        with self.asking(target, method, **more) as asked:
            received = self.agent().serve(answer)
            return asked.result(), received


def exchanges_in(store: MemoryStore) -> int:
    """How many are left: a sweep of far in the future takes them all."""
    return store.sweep(now=SystemClock().now() + timedelta(days=1))
