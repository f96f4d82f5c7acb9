"""The agent at the proxies of the original: nothing runs twice, nothing spins, nothing that is odd there stops it."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from agent.exchanges import Exchanges
from agent.identity.credentials import NoCredentials
from agent.messages import Request, Response, whole_body
from agent.poller import Poller
from agent.proxy.client import AgentIdentity, ProxyClient
from agent.proxy.conversation import Conversation
from agent.seen import SeenIds
from agent.transport.client import HttpClient
from agent.transport.connections import ConnectionPool
from tests.agent.original_proxy import OriginalProxy, original_proxy
from tests.timing import SECOND, wait_until
from wire.headers import Headers
from wire.http1 import End, ResponseHead, ResponseParser

GET = b"GET /path?a=1 HTTP/1.1\r\nHost: x\r\nUser-Agent: test\r\n\r\n"
POST = b"POST /path HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"


class Backend:
    """A handler that remembers what it was asked, and waits when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes, str]] = []
        self.proceed = threading.Event()
        self.proceed.set()

    def __call__(self, request: Request) -> Response:
        body = request.body
        if not isinstance(body, bytes):
            body = b"".join(event for event in body.events if isinstance(event, bytes))
        self.asked.append((request.head.method, request.head.target, body, request.user_id))
        assert self.proceed.wait(30 * SECOND)
        data = b"" if request.head.method == "HEAD" else b"an answer"
        return Response(ResponseHead(200, Headers([("X-Backend", "1")]), 9), whole_body(data))


@contextmanager
def an_agent(url: str, backend: Backend) -> Iterator[None]:
    drained = threading.Event()
    proxy = ProxyClient(
        HttpClient(ConnectionPool(url, size=9, connect_timeout=5 * SECOND)),
        url=url,
        identity=AgentIdentity("notebook", "agent-1", "test/1"),
        credentials=NoCredentials(),
        poll_limit=timedelta(seconds=20 * SECOND),
        jitter=random.random,
        sleep=time.sleep,
    )
    conversation, seen = Conversation(proxy), SeenIds(100)
    poller = Poller(
        conversation,
        Exchanges(conversation, backend, forget=seen.discard).run,
        seen=seen,
        concurrency=8,
        jitter=lambda: 0.1,
        on_drained=drained.set,
    )
    poller.start()
    try:
        yield
    finally:
        backend.proceed.set()
        poller.stop()
        assert drained.wait(20 * SECOND)


BOTH = pytest.mark.parametrize("is_app_engine", [False, True], ids=["stand-alone", "App Engine"])


def parsed(answer: bytes, method: str = "GET") -> tuple[int, bytes, bool]:
    parser = ResponseParser(method)
    head, *rest = [*parser.feed(answer), *parser.close()]
    assert isinstance(head, ResponseHead)
    body = b"".join(event for event in rest if isinstance(event, bytes))
    return head.status, body, isinstance(rest[-1], End)


@BOTH
@pytest.mark.parametrize(
    ("raw", "method", "asked", "body"),
    [
        (GET, "GET", ("GET", "/path?a=1", b""), b"an answer"),
        (POST, "POST", ("POST", "/path", b"hello"), b"an answer"),
        (GET.replace(b"GET", b"HEAD"), "HEAD", ("HEAD", "/path?a=1", b""), b""),
        (
            b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "PUT",
            ("PUT", "/", b"hello"),
            b"an answer",
        ),
    ],
    ids=["GET", "POST", "HEAD", "PUT"],
)
def test_a_request_is_answered(
    is_app_engine: bool, raw: bytes, method: str, asked: tuple[str, str, bytes], body: bytes
) -> None:
    backend = Backend()
    with original_proxy(OriginalProxy(is_app_engine)) as proxy, an_agent(proxy.url, backend):
        proxy.add(raw)
        answer = proxy.answer_to()
    user = "user@example.com" if is_app_engine else ""
    assert (parsed(answer, method), backend.asked) == ((200, body, True), [(*asked, user)])


@BOTH
@pytest.mark.parametrize("null", [b"null", b"null\n", b"[]", b"[]\n"])
def test_no_list_is_an_empty_one(is_app_engine: bool, null: bytes) -> None:
    proxy = OriginalProxy(is_app_engine, null=null, poll_seconds=0.01 * SECOND)
    with original_proxy(proxy), an_agent(proxy.url, Backend()):
        wait_until(lambda: len(proxy.kinds("list")) > 2, within=20 * SECOND, what="further polls")
        proxy.add(GET)
        assert parsed(proxy.answer_to())[0] == 200


@pytest.mark.parametrize(
    "start_time", ["2026-11-22T22:54:53Z", "2026-11-22T22:54:53.1+01:00", "2026-11-22T22:54:53.123456789Z", "soon", ""]
)
def test_when_a_request_began_is_not_asked(start_time: str) -> None:
    with original_proxy(OriginalProxy(start_time=start_time)) as proxy, an_agent(proxy.url, Backend()):
        proxy.add(GET)
        assert parsed(proxy.answer_to())[0] == 200


def test_what_is_listed_until_it_is_answered_runs_once_and_is_not_asked_for_in_a_tight_loop() -> None:
    backend = Backend()
    backend.proceed.clear()
    with original_proxy(OriginalProxy(is_app_engine=True)) as proxy, an_agent(proxy.url, backend):
        began = time.monotonic()
        proxy.add(POST)
        wait_until(lambda: len(proxy.kinds("list")) >= 10, within=60 * SECOND, what="ten polls")
        polls, took = len(proxy.kinds("list")), time.monotonic() - began
        backend.proceed.set()
        proxy.answer_to()
        assert (len(backend.asked), len(proxy.kinds("fetch"))) == (1, 1)
    # One turn takes a tenth of a second or more; the first few come before and with the request.
    assert polls <= took / 0.1 + 4


def test_what_is_listed_but_gone_is_asked_for_ever_more_rarely() -> None:
    proxy = OriginalProxy(is_app_engine=True, listed_in_vain=["gone-1"])
    with original_proxy(proxy), an_agent(proxy.url, Backend()):
        began = time.monotonic()
        wait_until(lambda: len(proxy.kinds("fetch")) >= 4, within=60 * SECOND, what="four fetches")
        polls, took = len(proxy.kinds("list")), time.monotonic() - began
    # The first of them is given back without a pause; a turn in which a fetch begins has none either.
    assert (took >= 1.4, polls <= took / 0.1 + 8) == (True, True)


def test_an_id_that_stands_twice_in_a_list_runs_once() -> None:
    backend = Backend()
    proxy = OriginalProxy(is_app_engine=True)
    proxy.listed_in_vain = ["id-1", "id-1"]
    with original_proxy(proxy), an_agent(proxy.url, backend):
        proxy.add(GET)
        proxy.answer_to()
        wait_until(lambda: len(proxy.kinds("list")) >= 5, within=20 * SECOND, what="further polls")
    assert len(backend.asked) == 1


@BOTH
@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 503])
def test_a_poll_that_is_refused_is_repeated(is_app_engine: bool, status: int) -> None:
    proxy = OriginalProxy(is_app_engine, refusals=[(status, b"Failure serializing the request IDs: odd\n")] * 2)
    with original_proxy(proxy), an_agent(proxy.url, Backend()):
        proxy.add(GET)
        assert parsed(proxy.answer_to())[0] == 200


@BOTH
@pytest.mark.parametrize("kind", ["fetch", "respond"])
def test_a_call_that_the_proxy_could_not_serve_is_repeated_and_the_request_is_not(
    kind: str, is_app_engine: bool
) -> None:
    backend, proxy = Backend(), OriginalProxy(is_app_engine, fails_once={kind: 500})
    with original_proxy(proxy), an_agent(proxy.url, backend):
        proxy.add(POST)
        answer = proxy.answer_to()
    assert (parsed(answer)[1], len(backend.asked), len(proxy.kinds(kind))) == (b"an answer", 1, 2)


def test_an_answer_that_nobody_waits_for_is_dropped() -> None:
    backend, proxy = Backend(), OriginalProxy(fails_once={"respond": 404})
    with original_proxy(proxy), an_agent(proxy.url, backend):
        proxy.add(GET, "id-1")
        wait_until(lambda: proxy.kinds("respond"), within=20 * SECOND, what="the answer")
        proxy.add(GET, "id-2")
        proxy.answer_to("id-2")
    assert (len(backend.asked), len(proxy.kinds("respond"))) == (2, 2)


def test_a_fetch_that_broke_off_is_not_repeated_where_the_body_is_given_once() -> None:
    backend = Backend()
    proxy = OriginalProxy(breaks_after=len(POST) - 2)
    with original_proxy(proxy), an_agent(proxy.url, backend):
        proxy.add(POST)
        answer = proxy.answer_to()
    assert (parsed(answer)[0], backend.asked, len(proxy.kinds("fetch"))) == (502, [], 1)


def test_a_fetch_that_broke_off_is_repeated_where_requests_are_kept() -> None:
    backend = Backend()
    proxy = OriginalProxy(is_app_engine=True, breaks_after=len(POST) - 2)
    with original_proxy(proxy), an_agent(proxy.url, backend):
        proxy.add(POST)
        answer = proxy.answer_to()
    assert (parsed(answer)[0], [asked[2] for asked in backend.asked]) == (200, [b"hello"])
    assert len(proxy.kinds("fetch")) == 2


@BOTH
def test_the_calls_are_those_of_the_original_agent_and_a_slash_at_the_end_is_not_needed(is_app_engine: bool) -> None:
    with original_proxy(OriginalProxy(is_app_engine)) as proxy, an_agent(proxy.url.rstrip("/"), Backend()):
        proxy.add(GET)
        proxy.answer_to()
        targets = {
            call.target.rpartition("/agent/")[2] for kind in ("list", "fetch", "respond") for call in proxy.kinds(kind)
        }
        [posted] = proxy.kinds("respond")
    assert targets == {"pending", "request", "response"}
    assert (posted.get_all("X-Inverting-Proxy-Request-ID"), posted.is_whole) == (["id-1"], True)


def test_a_farewell_is_no_poll_to_the_stand_alone_proxy() -> None:
    """A list that nobody reads would take requests with it."""
    with original_proxy(OriginalProxy()) as proxy:
        with an_agent(proxy.url, Backend()):
            wait_until(lambda: proxy.kinds("list"), within=20 * SECOND, what="a poll")
        [farewell] = [call for call in proxy.calls if call.start.startswith("DELETE ")]
    assert farewell.get_all("X-Inverting-Proxy-Request-ID") != []
