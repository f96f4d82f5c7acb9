"""The whole agent in this process, between a proxy and a backend: what clients, backends and operators can see."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from agent.composition import build_service
from agent.service import Reports, Service
from agent.settings.load import load_settings
from tests.agent.peers import ProxyPeer, Received, Wire, an_answer, answering, peer, proxy_peer
from tests.timing import SECOND, wait_until
from wire.http1 import End, ResponseHead, ResponseParser

GET = b"GET /path?secret=1 HTTP/1.1\r\nHost: example.com\r\n\r\n"


@contextmanager
def an_agent(proxy: ProxyPeer, backend_url: str, *flags: str) -> Iterator[Service]:
    """An agent at work; at the end everything it ran has finished."""
    arguments = [f"--proxy={proxy.url}", "--backend=notebook", f"--host={backend_url}", "--credentials=none", *flags]
    drained = threading.Event()
    settings = load_settings(arguments, {})
    reports = Reports(drained=drained.set, died=pytest.fail, unhealthy=pytest.fail)
    service = build_service(settings.agents[0], settings.google, reports)
    service.start()
    try:
        yield service
    finally:
        service.stop()
        assert drained.wait(20 * SECOND)


def parse(raw: bytes | bytearray, method: str = "GET") -> tuple[ResponseHead, bytes]:
    """A posted answer that must be whole."""
    parser = ResponseParser(method)
    events = [*parser.feed(bytes(raw)), *parser.close()]
    head = events[0]
    assert isinstance(head, ResponseHead)
    assert isinstance(events[-1], End)
    return head, b"".join(event for event in events if isinstance(event, bytes))


def exchange(proxy: ProxyPeer, serve: Callable[[Wire], None], raw: bytes, *flags: str, user: str = "") -> Received:
    """The one POST that answers a request."""
    with peer(serve) as backend, an_agent(proxy, backend.url, *flags):
        proxy.add(raw, user=user)
        return proxy.next_post().head


def sent_to_backend(raw: bytes, *flags: str, user: str = "") -> Received:
    """What the backend gets for a request; X-Forwarded fields of a proxy that says nothing of them are left alone."""
    seen: list[Received] = []
    with proxy_peer() as proxy:
        exchange(proxy, answering(an_answer(), record=seen), raw, "--forwarded-headers=keep", *flags, user=user)
    return seen[0]


def test_a_request_travels_to_the_backend_and_its_answer_back() -> None:
    answer = an_answer(b"hello", status=201, fields="X-A: 1\r\n")
    with proxy_peer() as proxy:
        posted = exchange(proxy, answering(answer), GET)
    head, body = parse(posted.body)
    assert (head.status, list(head.headers), head.length, body) == (201, [("X-A", "1")], 5, b"hello")


FORGED = [
    "X-Inverting-Proxy-User-ID", "x-inverting-proxy-user-id", "X_Inverting_Proxy_User_ID",
    "X-Inverting_Proxy-User-Id", "X-Inverting-Proxy-VM-ID",
]  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize("flags", [(), ("--forward-user-id",)])
def test_a_clients_own_copy_of_our_fields_never_reaches_the_backend(name: str, flags: tuple[str, ...]) -> None:
    raw = f"GET / HTTP/1.1\r\nHost: x\r\n{name}: admin\r\nX-Inverting-Proxy-User-ID: root\r\n\r\n".encode()
    assert sent_to_backend(raw, *flags).fields == [("Host", "x")]


def test_the_verified_user_is_forwarded_when_that_is_asked_for() -> None:
    raw = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: X-Inverting-Proxy-User-ID\r\nX-Inverting-Proxy-User-ID: a\r\n\r\n"
    seen = sent_to_backend(raw, "--forward-user-id", user="user@example.com")
    assert seen.fields == [("Host", "x"), ("X-Inverting-Proxy-User-ID", "user@example.com")]


def test_the_verified_user_stays_here_otherwise() -> None:
    assert sent_to_backend(GET, user="user@example.com").fields == [("Host", "example.com")]


def test_hop_by_hop_fields_stay_on_their_hop() -> None:
    raw = (
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: X-A, close\r\nX-A: 1\r\nX-B: 2\r\nTE: trailers\r\n"
        b"Keep-Alive: 1\r\nUpgrade: h2c\r\nProxy-Authorization: Basic x\r\n\r\n"
    )
    assert sent_to_backend(raw).fields == [("Host", "x"), ("X-B", "2")]


@pytest.mark.parametrize(("flags", "kept"), [((), ["Bearer x"]), (("--strip-credentials",), [])])
def test_credentials_are_stripped_when_that_is_asked_for(flags: tuple[str, ...], kept: list[str]) -> None:
    raw = b"GET / HTTP/1.1\r\nHost: x\r\nauthorization: Bearer x\r\n\r\n"
    assert sent_to_backend(raw, *flags).get_all("Authorization") == kept


@pytest.mark.parametrize(("size", "framing"), [(10, "Content-Length"), (300_000, "Content-Length")])
def test_a_request_body_arrives(size: int, framing: str) -> None:
    raw = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    seen = sent_to_backend(raw)
    assert (seen.body, seen.get_all(framing)) == (b"x" * size, [str(size)])


def test_a_backends_own_copies_of_our_fields_and_hop_by_hop_fields_are_removed() -> None:
    fields = (
        "X-Inverting-Proxy-Error: forged\r\nx_inverting_proxy_user_id: a\r\nConnection: X-A\r\nX-A: 1\r\nX-B: 2\r\n"
    )
    with proxy_peer() as proxy:
        posted = exchange(proxy, answering(an_answer(fields=fields)), GET)
    assert (list(parse(posted.body)[0].headers), posted.get_all("X-Inverting-Proxy-Error")) == ([("X-B", "2")], [])


def resetting(wire: Wire) -> None:
    wire.read_head()
    wire.reset()


def hanging(wire: Wire) -> None:
    wire.read_head()
    wire.read_head()


@pytest.mark.parametrize(
    ("serve", "status", "reason"),
    [
        (resetting, 502, "backend-broke"),
        (answering(b"garbage\r\n\r\n"), 502, "backend-broke"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), 502, "backend-broke"),
        (hanging, 504, "backend-timeout"),
    ],
)
def test_a_failing_backend_is_answered_for(serve: Callable[[Wire], None], status: int, reason: str) -> None:
    with proxy_peer() as proxy:
        # The larger of the two time-outs counts for the backend.
        proxy.poll_seconds = 0.05 * SECOND
        posted = exchange(proxy, serve, GET, "--proxy-timeout=300ms")
    head, body = parse(posted.body)
    assert (head.status, head.headers.get("X-Inverting-Proxy-Error")) == (status, reason)
    assert (posted.get_all("X-Inverting-Proxy-Error"), b"backend" in body) == ([reason], True)


def test_a_backend_that_is_down_is_answered_for_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    began = time.monotonic()
    with proxy_peer() as proxy, an_agent(proxy, url):
        proxy.add(GET)
        posted = proxy.next_post().head
    head, body = parse(posted.body)
    assert (head.status, head.headers.get("X-Inverting-Proxy-Error")) == (502, "backend-unreachable")
    assert (b"127.0.0.1" in body, time.monotonic() - began < 2 * SECOND) == (False, True)


def test_a_failure_of_a_head_request_has_no_body() -> None:
    with proxy_peer() as proxy:
        posted = exchange(proxy, resetting, GET.replace(b"GET", b"HEAD"))
    assert parse(posted.body, "HEAD")[1] == b""


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 1000000\r\n\r\nbegun", b"Transfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n"]
)
def test_a_backend_that_dies_within_its_answer_aborts_the_post_and_reports_it(framing: bytes) -> None:
    serve = answering(b"HTTP/1.1 200 OK\r\n" + framing)
    with proxy_peer() as proxy, peer(serve) as backend, an_agent(proxy, backend.url):
        proxy.add(GET)
        first, second = proxy.next_post().head, proxy.next_post().head
    assert (b"begun" in first.body, first.is_whole) == (True, False)
    assert second.get_all("X-Inverting-Proxy-Error") == ["backend-broke"]
    assert parse(second.body)[0].status == 502


def test_events_of_a_stream_pass_at_once() -> None:
    proceed = threading.Event()

    def serve(wire: Wire) -> None:
        wire.read_head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(3):
            wire.send(b"9\r\ndata: %d\n\n\r\n" % number)
            assert proceed.wait(10 * SECOND)
            proceed.clear()
        wire.send(b"0\r\n\r\n")

    with proxy_peer() as proxy, peer(serve) as backend, an_agent(proxy, backend.url):
        proxy.add(GET)
        posted = proxy.posts.get(timeout=10 * SECOND)
        for number in range(3):
            received = b""
            while b"data: %d" % number not in received:
                received += posted.pieces.get(timeout=10 * SECOND) or b""
            proceed.set()
        wait_until(lambda: posted.head.is_whole, within=10 * SECOND, what="the end of the post")


@pytest.mark.parametrize("status", [404, 410])
def test_the_backend_is_left_when_the_client_is_gone(status: int) -> None:
    left = threading.Event()

    def serve(wire: Wire) -> None:
        wire.read_head()
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n")
        try:
            wire.read_head()
        finally:
            left.set()

    def refuse(wire: Wire, call: Received) -> bool:
        if call.start.startswith("POST"):
            wire.send(an_answer(status=status))
            for _ in wire.read_pieces(call):
                pass
            return True
        return False

    with proxy_peer() as proxy, peer(serve) as backend:
        proxy.before = refuse
        with an_agent(proxy, backend.url):
            proxy.add(GET)
            assert left.wait(5 * SECOND)


def test_an_id_that_is_listed_again_is_answered_once() -> None:
    seen: list[Received] = []
    serve = answering(*[an_answer()] * 3, record=seen)
    with proxy_peer() as proxy, peer(serve) as backend, an_agent(proxy, backend.url):
        proxy.add(GET)
        proxy.add(GET)
        proxy.add(GET, request_id="id-2")
        proxy.next_post()
        proxy.next_post()
    assert len(seen) == 2


def test_an_id_that_was_gone_may_be_offered_again() -> None:
    with proxy_peer() as proxy, peer(answering(an_answer(b"late"))) as backend, an_agent(proxy, backend.url):
        proxy.pending.put(["id-1"])
        wait_until(
            lambda: any(call.target == "/agent/request" for call in proxy.calls), within=5 * SECOND, what="the fetch"
        )
        time.sleep(0.1 * SECOND)
        proxy.add(GET)
        assert parse(proxy.next_post().head.body)[1] == b"late"


def test_a_request_that_is_not_http_is_answered() -> None:
    with proxy_peer() as proxy:
        posted = exchange(proxy, answering(an_answer()), b"nonsense\r\n\r\n")
    assert posted.get_all("X-Inverting-Proxy-Error") == ["request-broke"]


def test_no_more_requests_run_than_allowed_and_none_is_lost() -> None:
    running, most = [0], [0]
    lock = threading.Lock()

    def serve(wire: Wire) -> None:
        while True:
            wire.read_message()
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            time.sleep(0.05 * SECOND)
            with lock:
                running[0] -= 1
            wire.send(an_answer())

    with proxy_peer() as proxy, peer(serve) as backend, an_agent(proxy, backend.url, "--concurrency=3"):
        for number in range(12):
            proxy.requests[f"id-{number}"], proxy.users[f"id-{number}"] = GET, ""
        proxy.pending.put([f"id-{number}" for number in range(12)])
        ids = {proxy.next_post().head.get_all("X-Inverting-Proxy-Request-ID")[0] for _ in range(12)}
    assert (len(ids), most[0]) == (12, 3)


def test_polling_goes_on_after_errors(caplog: pytest.LogCaptureFixture) -> None:
    failing = iter([b"garbage\r\n\r\n", an_answer(status=500), an_answer(b"<html>")])

    def fail(wire: Wire, call: Received) -> bool:
        raw = next(failing, None) if call.target == "/agent/pending" else None
        if raw is None:
            return False
        wire.send(raw)
        if raw.startswith(b"garbage"):
            wire.socket.close()
        return True

    caplog.set_level(logging.INFO)
    with proxy_peer() as proxy, peer(answering(an_answer())) as backend:
        proxy.before = fail
        with an_agent(proxy, backend.url):
            proxy.add(GET)
            proxy.next_post()
    assert "the proxy answers again" in caplog.messages


def test_a_proxy_that_answers_at_once_with_nothing_is_not_hammered() -> None:
    with proxy_peer() as proxy:
        proxy.poll_seconds = 0.0
        with an_agent(proxy, "http://127.0.0.1:1"):
            time.sleep(0.5 * SECOND)
        assert 2 <= len(proxy.calls) <= 8


def test_one_line_is_logged_for_a_request_and_it_has_no_secrets(caplog: pytest.LogCaptureFixture) -> None:
    raw = GET.replace(b"\r\n\r\n", b"\r\nCookie: secret\r\nAuthorization: secret\r\n\r\n")
    caplog.set_level(logging.INFO)
    with proxy_peer() as proxy, peer(answering(an_answer(b"secret"))) as backend, an_agent(proxy, backend.url):
        proxy.add(raw, request_id="0123456789abcdef")
        proxy.next_post()
    [line] = [message for message in caplog.messages if "GET" in message]
    assert line.startswith("01234567 GET /path 200 6 bytes ")
    assert "secret" not in caplog.text
