"""The status port, asked over sockets; and what the measure points tell it of an agent at work."""

import http.client
import itertools
import json
import logging
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from agent.backend_client import BackendClient
from agent.exchanges import Exchanges
from agent.identity.credentials import NoCredentials
from agent.pipeline import answering_failures
from agent.poller import Poller
from agent.proxy.client import AgentIdentity, ProxyClient
from agent.proxy.conversation import Conversation
from agent.seen import SeenIds
from agent.telemetry.record import BackendRecord, ServedBackend
from agent.telemetry.status_server import Answers, StatusServer
from agent.transport.client import HttpClient
from agent.transport.connections import ConnectionPool
from tests.agent.peers import ProxyPeer, Received, Wire, an_answer, answering, peer, proxy_peer
from tests.timing import SECOND, wait_until

GET = b"GET /path HTTP/1.1\r\nHost: example.com\r\n\r\n"


class Served:
    """A backend whose loop may be ended."""

    def __init__(self, backend_id: str = "notebook") -> None:
        self.record = BackendRecord(backend_id, now=time.monotonic)
        self.is_working = True

    def connect(self) -> "Served":
        self.record.poll_began()
        self.record.poll_answered()
        return self


@contextmanager
def a_server(*backends: Served, host: str = "127.0.0.1") -> Iterator[int]:
    """The port it listens at."""
    served = [
        ServedBackend(each.record, "http://localhost:8888", lambda each=each: each.is_working)  # type: ignore[misc]
        for each in backends or [Served()]
    ]
    server = StatusServer(host, 0, Answers(served, version="1.2.3", now=time.monotonic))
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


class Answered:
    """An answer, read whole."""

    def __init__(self, port: int, path: str, *, method: str = "GET", host: str | None = None) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20 * SECOND)) as connection:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", host if host is not None else f"127.0.0.1:{port}")
            connection.endheaders()
            response = connection.getresponse()
            self.status, self.headers = response.status, response.headers
            self.body = response.read().decode()


def test_health_is_that_of_the_loop() -> None:
    served = Served()
    with a_server(served) as port:
        well = Answered(port, "/healthz")
        served.is_working = False
        broken = Answered(port, "/healthz")
    assert (well.status, well.body) == (200, "ok\n")
    assert (broken.status, "notebook" in broken.body) == (503, True)


def test_readiness_says_why_not() -> None:
    served = Served()
    with a_server(served) as port:
        before = Answered(port, "/readyz")
        served.connect()
        ready = Answered(port, "/readyz")
        served.record.health_changed("status 503")
        unhealthy = Answered(port, "/readyz")
    assert [before.status, ready.status, unhealthy.status] == [503, 200, 503]
    assert json.loads(ready.body) == {"ready": True, "backends": {"notebook": {"ready": True, "reason": ""}}}
    reasons = [json.loads(each.body)["backends"]["notebook"]["reason"] for each in (before, unhealthy)]
    assert reasons == ["the proxy has not answered a poll yet", "the backend is not healthy: status 503"]


def test_an_agent_is_ready_when_all_its_backends_are() -> None:
    with a_server(Served("a").connect(), Served("b")) as port:
        answered = Answered(port, "/readyz")
    backends = json.loads(answered.body)["backends"]
    assert (answered.status, backends["a"]["ready"], backends["b"]["ready"]) == (503, True, False)


def test_metrics_are_text_that_prometheus_reads() -> None:
    with a_server(Served().connect()) as port:
        answered = Answered(port, "/metrics")
        again = Answered(port, "/metrics")
    assert answered.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'inverting_proxy_agent_build_info{version="1.2.3"} 1.0\n' in answered.body
    assert 'inverting_proxy_agent_ready{backend="notebook"} 1.0\n' in again.body


def test_the_page_is_html_that_loads_nothing_and_is_in_no_frame() -> None:
    with a_server(Served().connect()) as port:
        answered = Answered(port, "/?anything")
    assert (answered.status, answered.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = answered.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answered.headers["Cache-Control"] == "no-store"
    assert "notebook" in answered.body


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics", "/nothing"])
def test_head_is_get_without_the_body(path: str) -> None:
    with a_server(Served().connect()) as port:
        got = Answered(port, path)
        with socket.create_connection(("127.0.0.1", port), timeout=20 * SECOND) as connection:
            connection.sendall(f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head, _, body = receive_all(connection).partition(b"\r\n\r\n")
    assert (head.startswith(f"HTTP/1.0 {got.status} ".encode()), body) == (True, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(method: str) -> None:
    with a_server() as port:
        answered = Answered(port, "/", method=method)
    assert (answered.status, answered.headers["Allow"]) == (405, "GET, HEAD")


def test_what_is_not_known_is_not_repeated() -> None:
    with a_server() as port:
        unknown = Answered(port, "/<script>alert(1)</script>")
        strange = Answered(port, "/", method="<script>")
    assert (unknown.status, strange.status) == (404, 501)
    assert "script" not in unknown.body + strange.body
    assert "Python" not in unknown.headers["Server"] + strange.headers["Server"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.1.2.3:99", "[::1]:8080"])
def test_loopback_names_are_answered_on_loopback(host: str) -> None:
    with a_server() as port:
        assert Answered(port, "/healthz", host=host).status == 200


@pytest.mark.parametrize(
    "host", ["attacker.example", "localhost.attacker.example:80", "", "127.0.0.1.nip.io", "10.0.0.1", "[", "a b"]
)
@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics"])
def test_other_names_are_refused_on_loopback(host: str, path: str) -> None:
    with a_server() as port:
        answered = Answered(port, path, host=host)
    assert (answered.status, "notebook" in answered.body) == (403, False)


def test_any_name_is_answered_elsewhere() -> None:
    with a_server(host="0.0.0.0") as port:
        assert Answered(port, "/healthz", host="agent.internal").status == 200


def test_it_listens_with_ipv6() -> None:
    try:
        server = StatusServer("::1", 0, Answers([], version="1", now=time.monotonic))
    except OSError:
        pytest.skip("no IPv6 here")
    server.start()
    try:
        with socket.create_connection(("::1", server.port), timeout=20 * SECOND) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: [::1]\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.0 200 ")
    finally:
        server.stop()


def test_an_address_in_use_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError):
        StatusServer("127.0.0.1", taken.getsockname()[1], Answers([], version="1", now=time.monotonic))


def receive_all(connection: socket.socket) -> bytes:
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


@pytest.mark.parametrize(
    "raw", [b"\x16\x03\x01\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n", b"x" * 70_000]
)
def test_what_is_not_http_does_no_harm(raw: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with a_server() as port:
        with socket.create_connection(("127.0.0.1", port), timeout=20 * SECOND) as connection:
            connection.sendall(raw)
            receive_all(connection)
        assert Answered(port, "/healthz").status == 200
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_who_says_nothing_keeps_others_out_for_a_bounded_time_only() -> None:
    with a_server() as port:
        silent = [socket.create_connection(("127.0.0.1", port), timeout=60 * SECOND) for _ in range(20)]
        try:
            # Those over the limit of threads are closed at once, the others when their time is over.
            assert [receive_all(each) for each in silent] == [b""] * 20
        finally:
            for each in silent:
                each.close()

        def is_answered() -> bool:
            try:
                return Answered(port, "/healthz").status == 200
            except (OSError, http.client.HTTPException):
                return False

        wait_until(is_answered, within=20 * SECOND, what="an answer after the silent ones")


def test_who_speaks_slowly_is_cut_off() -> None:
    with a_server() as port, socket.create_connection(("127.0.0.1", port), timeout=20 * SECOND) as connection:
        deadline = time.monotonic() + 60 * SECOND
        try:
            for byte in itertools.cycle(b"GET / HTTP/1.1 "):
                connection.sendall(bytes([byte]))
                assert time.monotonic() < deadline
                time.sleep(0.1)
        except OSError:
            pass


# An agent at work.


@contextmanager
def an_agent(proxy: ProxyPeer, backend_url: str) -> Iterator[BackendRecord]:
    record = BackendRecord("notebook", now=time.monotonic)
    drained = threading.Event()
    client = ProxyClient(
        HttpClient(ConnectionPool(proxy.url, size=5, connect_timeout=10.0)),
        url=proxy.url,
        identity=AgentIdentity("notebook", "agent", "test"),
        credentials=NoCredentials(),
        poll_limit=None,
        jitter=random.random,
        sleep=threading.Event().wait,
        observer=record,
    )
    conversation = Conversation(client)
    handler = answering_failures(BackendClient(backend_url, connections=4, limit=None))
    seen = SeenIds(100)
    poller = Poller(
        conversation,
        Exchanges(conversation, handler, forget=seen.discard, observer=record).run,
        seen=seen,
        concurrency=4,
        jitter=lambda: 0.5,
        on_drained=drained.set,
        observer=record,
    )
    poller.start()
    assert poller.is_working
    try:
        yield record
    finally:
        poller.stop()
        assert drained.wait(20 * SECOND)
        assert poller.is_working
        assert record.snapshot().is_draining


def finished(record: BackendRecord) -> dict[tuple[int, str], int]:
    return wait_until(lambda: record.snapshot().finished, within=20 * SECOND, what="the end of the exchange")


def test_an_exchange_is_counted_with_what_it_cost() -> None:
    with (
        proxy_peer() as proxy,
        peer(answering(an_answer(b"hello", status=201))) as backend,
        an_agent(proxy, backend.url) as record,
    ):
        proxy.add(GET)
        proxy.next_post()
        assert finished(record) == {(201, ""): 1}
        snapshot = record.snapshot()
    assert (snapshot.in_flight, snapshot.response_bytes, snapshot.exchanges) == (0, 5, 1)
    assert (snapshot.polls_answered > 0, snapshot.poll_failure, snapshot.answered_age is not None) == (True, "", True)


def test_a_failing_backend_is_counted_with_its_reason() -> None:
    with proxy_peer() as proxy, peer(answering(b"garbage\r\n\r\n")) as backend, an_agent(proxy, backend.url) as record:
        proxy.add(GET)
        proxy.next_post()
        assert finished(record) == {(502, "backend-broke"): 1}


def test_an_answer_that_breaks_off_is_counted_as_what_the_proxy_is_told() -> None:
    broken = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbegun"
    with proxy_peer() as proxy, peer(answering(broken)) as backend, an_agent(proxy, backend.url) as record:
        proxy.add(GET)
        proxy.next_post()
        proxy.next_post()
        assert finished(record) == {(502, "backend-broke"): 1}


@pytest.mark.parametrize(("status", "reason"), [(410, "client-gone"), (403, "undelivered")])
def test_an_answer_that_nobody_takes_is_counted_so(status: int, reason: str) -> None:
    def refuse(wire: Wire, call: Received) -> bool:
        if not call.start.startswith("POST"):
            return False
        for _ in wire.read_pieces(call):
            pass
        wire.send(an_answer(status=status))
        return True

    with proxy_peer() as proxy, peer(answering(an_answer())) as backend:
        proxy.before = refuse
        with an_agent(proxy, backend.url) as record:
            proxy.add(GET)
            assert finished(record) == {(200, reason): 1}


def test_what_goes_wrong_with_the_proxy_is_counted() -> None:
    failing = {"/agent/pending": [500], "/agent/request": [503, 403]}

    def fail(wire: Wire, call: Received) -> bool:
        statuses = failing.get(call.target)
        if not statuses:
            return False
        wire.send(an_answer(status=statuses.pop(0)))
        return True

    with proxy_peer() as proxy, peer(answering(an_answer())) as backend:
        proxy.before = fail
        with an_agent(proxy, backend.url) as record:
            wait_until(lambda: record.snapshot().polls_failed, within=10 * SECOND, what="the failed poll")
            proxy.add(GET)
            wait_until(lambda: record.snapshot().fetches_failed, within=20 * SECOND, what="the failed fetch")
            snapshot = record.snapshot()
    assert (snapshot.polls_failed, snapshot.fetches_failed, snapshot.retries) == (1, 1, 1)


def test_a_proxy_that_is_gone_is_not_connected() -> None:
    with proxy_peer() as gone:
        pass
    with an_agent(gone, "http://127.0.0.1:1") as record:
        wait_until(lambda: record.snapshot().poll_failure, within=10 * SECOND, what="the failed poll")
        assert "refused" in record.snapshot().poll_failure


def test_a_request_that_is_not_http_is_a_failed_fetch() -> None:
    with proxy_peer() as proxy, an_agent(proxy, "http://127.0.0.1:1") as record:
        proxy.add(b"nonsense\r\n\r\n")
        proxy.next_post()
        assert (record.snapshot().fetches_failed, record.snapshot().exchanges) == (1, 0)


def test_a_poll_that_waits_is_known_to_wait() -> None:
    with proxy_peer() as proxy, an_agent(proxy, "http://127.0.0.1:1") as record:
        wait_until(lambda: record.snapshot().unanswered_age is not None, within=10 * SECOND, what="a poll that waits")
