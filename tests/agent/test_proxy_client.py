"""The three calls to the proxy: what each sends, and what the agent makes of proxies that misbehave."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from agent.identity.credentials import Credentials, NoCredentials
from agent.identity.errors import CredentialsError
from agent.messages import Response, whole_body
from agent.proxy.client import AgentIdentity, ProxyClient
from agent.proxy.errors import Gone, NotAProxy, ProxyError, ProxyUnavailable, Redirected, Unauthorized, Unidentified
from agent.transport.client import HttpClient, Interrupt, Reply
from agent.transport.connections import ConnectionPool
from agent.transport.errors import Broken, SourceBroke, TransportError
from tests.agent.peers import Received, Wire, an_answer, answering, peer, proxy_peer
from tests.timing import SECOND
from wire.errors import WireError
from wire.headers import Headers
from wire.http1 import End, RequestHead, ResponseHead, ResponseParser
from wire.protocol import RequestId

ID = RequestId("id-1")


class Token:
    """Credentials whose token is worth nothing until they are refreshed."""

    def __init__(self) -> None:
        self.refreshed = 0

    def fields(self) -> list[tuple[str, str]]:
        return [("Authorization", f"Bearer token-{self.refreshed}")]

    def refresh(self) -> None:
        self.refreshed += 1


class Limits(HttpClient):
    """Keeps how long a peer may be silent."""

    def __init__(self, url: str) -> None:
        super().__init__(ConnectionPool(url, size=4, connect_timeout=5 * SECOND))
        self.kept: list[float | None] = []

    def call(self, *request: Any, limit: float | None, **how: Any) -> Reply:
        self.kept.append(limit)
        return super().call(*request, limit=limit, **how)


def a_client(
    url: str, *, http: HttpClient | None = None, credentials: Credentials | None = None, poll_limit: float = 10 * SECOND
) -> ProxyClient:
    return ProxyClient(
        http or HttpClient(ConnectionPool(url, size=4, connect_timeout=5 * SECOND)),
        url=url,
        identity=AgentIdentity("notebook", "agent-1", "test/1"),
        credentials=credentials or NoCredentials(),
        poll_limit=timedelta(seconds=poll_limit),
        jitter=lambda: 0.1,
        sleep=time.sleep,
    )


def a_response(body: bytes = b"hello", *, status: int = 200, failure: str = "") -> Response:
    return Response(ResponseHead(status, Headers(), len(body)), whole_body(body), failure=failure)


def streaming(events: Iterator[bytes | End], abort: Callable[[], None] = lambda: None) -> Response:
    return Response(ResponseHead(200, Headers(), "chunked"), events, abort=abort)


def inner(raw: bytes | bytearray) -> list[object]:
    """The events of a posted answer, pieces joined."""
    parser = ResponseParser("GET")
    events = [*parser.feed(bytes(raw)), *parser.close()]
    body = b"".join(event for event in events if isinstance(event, bytes))
    return [events[0], body, *(event for event in events[1:] if not isinstance(event, bytes))]


@pytest.mark.parametrize("path", ["", "/", "/some/path", "/some/path/"])
def test_the_proxy_url_may_have_a_path_and_a_trailing_slash(path: str) -> None:
    with proxy_peer(path.rstrip("/")) as proxy:
        proxy.pending.put(["id-1", "id-2"])
        listed = a_client(proxy.url + ("/" if path.endswith("/") else "")).polls.poll(Interrupt(), capacity=3).listed
    assert listed == ["id-1", "id-2"]


def test_every_call_says_which_backend_and_which_agent() -> None:
    with proxy_peer() as proxy:
        proxy.add(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client = a_client(proxy.url)
        client.polls.poll(Interrupt(), capacity=3)
        client.fetch(ID)
        client.respond(ID, a_response(), method="GET")
        calls = [(call.target, dict(call.fields)) for call in proxy.calls]
    assert [target for target, _ in calls] == ["/agent/pending", "/agent/request", "/agent/response"]
    for _, fields in calls:
        assert fields["X-Inverting-Proxy-Backend-ID"] == "notebook"
        assert fields["X-Inverting-Proxy-Agent-ID"] == "agent-1"
    assert set(calls[0][1]) == {
        "Host", "User-Agent", "X-Inverting-Proxy-Backend-ID", "X-Inverting-Proxy-Agent-ID", "Accept",
        "X-Inverting-Proxy-Poll-ID", "X-Inverting-Proxy-Capacity",
    }  # fmt: skip


def test_a_poll_that_runs_out_of_time_is_an_empty_list() -> None:
    with proxy_peer() as proxy:
        assert a_client(proxy.url, poll_limit=0.2 * SECOND).polls.poll(Interrupt(), capacity=3).listed == []


def test_a_poll_is_interrupted_at_once() -> None:
    interrupt = Interrupt()
    with proxy_peer() as proxy:
        threading.Timer(0.2 * SECOND, interrupt.trigger).start()
        began = time.monotonic()
        with pytest.raises(TransportError):
            a_client(proxy.url).polls.poll(interrupt, capacity=3)
        assert time.monotonic() - began < 3 * SECOND


@pytest.mark.parametrize(
    "raw",
    [
        an_answer(b"null")[:-1],
        an_answer(b'["id-1"]').replace(b"Content-Length: 8", b"Content-Length: 9"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n[\"id-1\"]\r\n",
        b"garbage\r\n\r\n",
        an_answer(b"<html>"),
        an_answer(b'["a b"]'),
        an_answer(b" " * ((1 << 20) + 1)),
    ],
)  # fmt: skip
def test_a_list_that_is_not_whole_or_not_a_list_is_an_error(raw: bytes) -> None:
    with peer(answering(raw)) as proxy, pytest.raises((TransportError, WireError, NotAProxy)):
        a_client(proxy.url).polls.poll(Interrupt(), capacity=3)


def test_a_null_list_is_empty() -> None:
    with peer(answering(an_answer(b"null"))) as proxy:
        assert a_client(proxy.url).polls.poll(Interrupt(), capacity=3).listed == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_names_its_target_and_gets_nothing(status: int) -> None:
    with peer(answering(an_answer())) as other:
        fields = f"Location: {other.url}/agent/pending?token=secret\r\n"
        with (
            peer(answering(an_answer(status=status, fields=fields))) as proxy,
            pytest.raises(Redirected, match=f"'{other.url}/agent/pending'.*--proxy"),
        ):
            a_client(proxy.url, credentials=Token()).polls.poll(Interrupt(), capacity=3)
        assert other.accepted == 0


def test_a_refused_token_is_refreshed_once() -> None:
    token, seen = Token(), list[Received]()
    with peer(answering(an_answer(status=401), an_answer(b"[]"), record=seen)) as proxy:
        assert a_client(proxy.url, credentials=token).polls.poll(Interrupt(), capacity=3).listed == []
    assert [call.get_all("Authorization") for call in seen] == [["Bearer token-0"], ["Bearer token-1"]]


def test_a_token_that_is_refused_again_is_an_error() -> None:
    token = Token()
    with peer(answering(*[an_answer(status=401)] * 3)) as proxy, pytest.raises(Unauthorized):
        a_client(proxy.url, credentials=token).polls.poll(Interrupt(), capacity=3)
    assert token.refreshed == 1


def test_a_failing_list_is_left_to_the_poller() -> None:
    seen: list[Received] = []
    with peer(answering(*[an_answer(status=500)] * 3, record=seen)) as proxy, pytest.raises(ProxyUnavailable):
        a_client(proxy.url).polls.poll(Interrupt(), capacity=3)
    assert len(seen) == 1


def failing_first(times: int, fail: Callable[[Wire], None]) -> Callable[[Wire, Received], bool]:
    left = [times]

    def before(wire: Wire, call: Received) -> bool:
        if not left[0]:
            return False
        left[0] -= 1
        for _ in wire.read_pieces(call):
            pass
        fail(wire)
        return True

    return before


FAILURES: list[Callable[[Wire], None]] = [
    lambda wire: wire.send(an_answer(status=500)),
    lambda wire: wire.send(an_answer(status=429)),
    lambda wire: wire.reset(),
    lambda wire: wire.socket.close(),
    lambda wire: wire.send(b"garbage\r\n\r\n"),
]


@pytest.mark.parametrize("fail", FAILURES)
def test_a_fetch_is_tried_again(fail: Callable[[Wire], None]) -> None:
    with proxy_peer() as proxy:
        proxy.requests, proxy.users = {"id-1": b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"}, {"id-1": "user@example.com"}
        proxy.before = failing_first(2, fail)
        request = a_client(proxy.url).fetch(ID).request
    assert (request.user_id, request.head) == (
        "user@example.com",
        RequestHead("GET", "/x", Headers([("Host", "x")]), None),
    )


@pytest.mark.parametrize("fail", FAILURES)
def test_a_small_answer_is_posted_again_whole(fail: Callable[[Wire], None]) -> None:
    with proxy_peer() as proxy:
        proxy.before = failing_first(2, fail)
        a_client(proxy.url).respond(ID, a_response(), method="GET")
        posted = proxy.next_post()
    assert posted.head.get_all("Content-Length") == [str(len(posted.head.body))]
    assert inner(posted.head.body) == [ResponseHead(200, Headers(), 5), b"hello", End()]


@pytest.mark.parametrize(("is_whole", "limit"), [(True, 30), (False, 900)])
def test_an_answer_that_is_posted_as_it_comes_may_wait_for_a_user_who_reads_slowly(
    is_whole: bool, limit: float
) -> None:
    with proxy_peer() as proxy:
        http = Limits(proxy.url)
        response = a_response() if is_whole else streaming(iter([b"one", End()]))
        a_client(proxy.url, http=http).respond(ID, response, method="GET")

    assert http.kept == [limit]


@pytest.mark.parametrize("fail", FAILURES)
def test_a_streamed_answer_is_posted_again_from_its_first_byte(fail: Callable[[Wire], None]) -> None:
    with proxy_peer() as proxy:
        proxy.before = failing_first(2, fail)
        a_client(proxy.url).respond(ID, streaming(iter([b"one", b"two", End()])), method="GET")
        posted = proxy.next_post()
    assert posted.head.get_all("Transfer-Encoding") == ["chunked"]
    assert inner(posted.head.body) == [ResponseHead(200, Headers(), "chunked"), b"onetwo", End()]


def test_a_streamed_answer_that_is_no_longer_kept_is_not_posted_again() -> None:
    with proxy_peer() as proxy:
        proxy.before = failing_first(1, FAILURES[0])
        events = iter([*[b"x" * 65536] * 20, End()])
        with pytest.raises(ProxyUnavailable):
            a_client(proxy.url).respond(ID, streaming(events), method="GET")
        assert [call.target for call in proxy.calls] == ["/agent/response"]


@pytest.mark.parametrize("status", [404, 409, 410])
def test_a_gone_exchange_is_not_fetched_again(status: int) -> None:
    seen: list[Received] = []
    with peer(answering(*[an_answer(status=status)] * 2, record=seen)) as proxy, pytest.raises(Gone):
        a_client(proxy.url).fetch(ID)
    assert len(seen) == 1


@pytest.mark.parametrize("status", [404, 409, 410])
def test_when_nobody_waits_any_more_the_backend_is_stopped(status: int) -> None:
    aborted = threading.Event()

    def endless() -> Iterator[bytes | End]:
        yield b"first"
        assert aborted.wait(10 * SECOND)
        raise Broken("aborted")

    def refuse(wire: Wire) -> None:
        wire.read_head()
        wire.send(an_answer(status=status))

    with peer(refuse) as proxy, pytest.raises(Gone):
        a_client(proxy.url).respond(ID, streaming(endless(), abort=aborted.set), method="GET")
    assert aborted.is_set()


@pytest.mark.parametrize("status", [400, 403, 413, 418])
def test_a_refusal_that_will_not_change_is_not_asked_for_again(status: int) -> None:
    seen: list[Received] = []
    with peer(answering(*[an_answer(status=status)] * 2, record=seen)) as proxy, pytest.raises(ProxyError):
        a_client(proxy.url).respond(ID, a_response(), method="GET")
    assert len(seen) == 1


def breaking() -> Iterator[bytes | End]:
    yield b"begun"
    raise Broken("the backend died")


def test_a_streamed_answer_that_breaks_off_never_ends_cleanly() -> None:
    with proxy_peer() as proxy:
        with pytest.raises(SourceBroke):
            a_client(proxy.url).respond(ID, streaming(breaking()), method="GET")
        posted = proxy.next_post()
    assert (b"begun" in posted.head.body, posted.head.is_whole) == (True, False)


def test_a_small_answer_that_breaks_off_is_not_posted_at_all() -> None:
    with proxy_peer() as proxy:
        response = Response(ResponseHead(200, Headers(), 100), breaking())
        with pytest.raises(SourceBroke):
            a_client(proxy.url).respond(ID, response, method="GET")
        assert proxy.calls == []


def test_pieces_are_posted_as_they_come() -> None:
    proceed = threading.Event()

    def events() -> Iterator[bytes | End]:
        yield b"one"
        assert proceed.wait(10 * SECOND)
        yield b"two"
        yield End()

    with proxy_peer() as proxy:
        client = a_client(proxy.url)
        thread = threading.Thread(target=lambda: client.respond(ID, streaming(events()), method="GET"))
        thread.start()
        posted = proxy.posts.get(timeout=10 * SECOND)
        received = b""
        while b"one" not in received:
            received += posted.pieces.get(timeout=10 * SECOND) or b""
        proceed.set()
        thread.join(10 * SECOND)
    assert posted.head.is_whole


def test_the_reason_of_a_failure_stands_outside_too() -> None:
    with proxy_peer() as proxy:
        a_client(proxy.url).respond(ID, a_response(status=502, failure="backend-broke"), method="GET")
        posted = proxy.next_post()
    assert posted.head.get_all("X-Inverting-Proxy-Error") == ["backend-broke"]


@pytest.mark.parametrize(("length", "framing"), [(100_000, b"Content-Length: 100000\r\n"), (None, b"chunked\r\n")])
def test_a_large_request_body_is_not_held_but_streamed(length: int | None, framing: bytes) -> None:
    body = b"x" * 100_000 if length else b"%x\r\n%b\r\n0\r\n\r\n" % (100_000, b"x" * 100_000)
    name = b"" if length else b"Transfer-Encoding: "
    with proxy_peer() as proxy:
        proxy.requests = {"id-1": b"POST / HTTP/1.1\r\nHost: x\r\n" + name + framing + b"\r\n" + body}
        proxy.users = {"id-1": ""}
        fetched = a_client(proxy.url).fetch(ID)
        assert not isinstance(fetched.request.body, bytes)
        events = list(fetched.request.body.events)
        fetched.close()
    assert (b"".join(event for event in events if isinstance(event, bytes)), events[-1]) == (b"x" * 100_000, End())


def test_a_fetched_request_that_is_not_http_is_an_error() -> None:
    with proxy_peer() as proxy:
        proxy.requests, proxy.users = {"id-1": b"not http\r\n\r\n"}, {"id-1": ""}
        with pytest.raises(WireError):
            a_client(proxy.url).fetch(ID)


def test_a_fetched_request_that_is_cut_short_is_an_error() -> None:
    with proxy_peer() as proxy:
        proxy.requests = {"id-1": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"}
        proxy.users = {"id-1": ""}
        with pytest.raises(WireError):
            a_client(proxy.url).fetch(ID)


def test_calls_share_one_connection() -> None:
    with proxy_peer() as proxy:
        proxy.add(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client = a_client(proxy.url)
        client.polls.poll(Interrupt(), capacity=3)
        client.fetch(ID)
        client.respond(ID, a_response(), method="GET")
        client.respond(ID, streaming(iter([b"x", End()])), method="GET")
        accepted = proxy._peer.accepted
    assert accepted == 1


def test_a_proxy_peer_that_is_used_has_no_secrets_in_errors() -> None:
    token = Token()
    with peer(answering(*[an_answer(status=403)] * 2)) as proxy, pytest.raises(ProxyError) as caught:
        a_client(proxy.url, credentials=token).polls.poll(Interrupt(), capacity=3)
    assert "token" not in str(caught.value)


class Absent:
    """Credentials whose token is not there for the first few calls."""

    def __init__(self, times: int) -> None:
        self.left = times

    def fields(self) -> list[tuple[str, str]]:
        if self.left:
            self.left -= 1
            raise CredentialsError("not yet")
        return [("Authorization", "Bearer token")]

    def refresh(self) -> None:
        """There is nothing newer."""


def test_an_answer_waits_for_a_token_that_is_late() -> None:
    with proxy_peer() as proxy:
        a_client(proxy.url, credentials=Absent(3)).respond(ID, a_response(), method="GET")
        posted = proxy.next_post()
    assert posted.head.get_all("Authorization") == ["Bearer token"]


def test_a_streamed_answer_waits_for_it_too() -> None:
    with proxy_peer() as proxy:
        client = a_client(proxy.url, credentials=Absent(3))
        client.respond(ID, streaming(iter([b"one", b"two", End()])), method="GET")
        posted = proxy.next_post()
    assert inner(posted.head.body) == [ResponseHead(200, Headers(), "chunked"), b"onetwo", End()]


def test_a_poll_without_a_token_is_left_to_the_poller() -> None:
    with proxy_peer() as proxy, pytest.raises(Unidentified, match="not yet"):
        a_client(proxy.url, credentials=Absent(1)).polls.poll(Interrupt(), capacity=3)
    assert proxy.calls == []


def test_plain_http_is_relayed_by_an_outbound_proxy_with_absolute_targets() -> None:
    seen: list[Received] = []
    with peer(answering(an_answer(b'["id-1"]'), record=seen)) as outbound:
        url, through = "http://proxy.example.test/base", outbound.url.replace("http://", "http://user:pass@")
        client = ProxyClient(
            HttpClient(ConnectionPool(url, size=1, connect_timeout=5 * SECOND, outbound=through)),
            url=url,
            identity=AgentIdentity("notebook", "agent-1", "test/1"),
            credentials=NoCredentials(),
            poll_limit=None,
            jitter=lambda: 0.1,
            sleep=time.sleep,
            outbound=through,
        )
        assert client.polls.poll(Interrupt(), capacity=3).listed == ["id-1"]
    assert seen[0].start == "GET http://proxy.example.test/base/agent/pending HTTP/1.1"
    assert seen[0].get_all("Host") == ["proxy.example.test"]
    assert seen[0].get_all("Proxy-Authorization") == ["Basic dXNlcjpwYXNz"]


def test_a_login_page_is_named_for_what_it_is() -> None:
    page = an_answer(b"<!doctype html><title>Sign in</title>", fields="Content-Type: text/html\r\n")
    with peer(answering(page)) as proxy, pytest.raises(NotAProxy, match="is --proxy the agent service"):
        a_client(proxy.url).polls.poll(Interrupt(), capacity=3)


def test_a_redirect_to_a_login_is_named_and_gets_nothing() -> None:
    fields = "Location: https://accounts.google.com/o/oauth2/v2/auth?client_id=x\r\n"
    token, seen = Token(), list[Received]()
    with (
        peer(answering(*[an_answer(status=302, fields=fields)] * 3, record=seen)) as proxy,
        pytest.raises(Unauthorized, match="--iap-client-id"),
    ):
        a_client(proxy.url, credentials=token).polls.poll(Interrupt(), capacity=3)
    assert len(seen) == 2
