"""Over a real socket: a handler of `http.server` is nothing without one."""

import hashlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from demo.server import DemoServer

pytestmark = pytest.mark.loopback

AS_JSON = {"Accept": "application/json"}


@contextmanager
def serving(**settings: float) -> Iterator[int]:
    """The port of a demo server."""
    with DemoServer("127.0.0.1", 0, **settings) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def port() -> Iterator[int]:
    with serving() as port:
        yield port


@pytest.fixture
def connection(port: int) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    yield connection
    connection.close()


def ask(connection: http.client.HTTPConnection, method: str, target: str, **more: object) -> tuple[int, bytes]:
    connection.request(method, target, **more)  # type: ignore[arg-type]
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "PROPFIND"])
def test_whatever_the_method_is_it_is_shown(connection: http.client.HTTPConnection, method: str) -> None:
    status, body = ask(connection, method, "/any", headers=AS_JSON)
    assert (status, json.loads(body)["method"]) == (200, method)


def test_the_answer_to_head_has_a_length_and_no_body(connection: http.client.HTTPConnection) -> None:
    connection.request("HEAD", "/")
    answer = connection.getresponse()
    assert int(answer.headers["Content-Length"]) > 5000
    assert answer.read() == b""


def test_the_target_is_shown_as_it_came(connection: http.client.HTTPConnection) -> None:
    _, body = ask(connection, "GET", "//a/%2e%2E/./b?x=%22&y", headers=AS_JSON)
    assert json.loads(body)["target"] == "//a/%2e%2E/./b?x=%22&y"


def test_a_browser_gets_a_page_that_is_not_cached(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/", headers={"Accept": "text/html"})
    answer = connection.getresponse()
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.read().startswith(b"<!doctype html>")


@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_is_measured_to_its_last_byte(connection: http.client.HTTPConnection, chunked: bool) -> None:
    data = bytes(range(256)) * 1000
    sent = iter([data[:1], data[1:70000], data[70000:]]) if chunked else data
    _, body = ask(connection, "PUT", "/upload", body=sent, headers=AS_JSON, encode_chunked=chunked)
    assert json.loads(body)["body"] == {"bytes": 256000, "sha256": hashlib.sha256(data).hexdigest()}


def test_a_connection_is_used_again_after_a_chunked_upload_with_trailers(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        upload = b"2;x=y\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n"
        raw.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + upload)
        raw.sendall(b"GET /status/418 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answers = b"".join(iter(lambda: raw.recv(1 << 16), b""))
    assert answers.count(b"HTTP/1.1 200 ") == 1
    assert answers.count(b"HTTP/1.1 418 ") == 1


@pytest.mark.parametrize("framing", ["Content-Length: two", "Transfer-Encoding: chunked"])
def test_framing_that_cannot_be_read_is_a_400_and_the_end_of_the_connection(port: int, framing: str) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        raw.sendall(f"POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\nno length\r\n".encode("ascii"))
        answer = b"".join(iter(lambda: raw.recv(1 << 16), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_a_slow_answer_takes_the_time_it_was_asked_for(connection: http.client.HTTPConnection) -> None:
    started = time.monotonic()
    answer = ask(connection, "GET", "/slow?seconds=0.2")
    assert answer == (200, b"answered after 0.2 s\n")
    assert time.monotonic() - started >= 0.2


@pytest.mark.parametrize("wish", ["61", "-1", "nan", "1e9", "soon"])
def test_nobody_can_ask_for_an_endless_wait(connection: http.client.HTTPConnection, wish: str) -> None:
    assert ask(connection, "GET", f"/slow?seconds={wish}") == (400, b"seconds: not a number from 0 to 60\n")


@pytest.mark.parametrize("status", [404, 503, 599])
def test_an_error_has_the_status_that_was_asked_for(connection: http.client.HTTPConnection, status: int) -> None:
    assert ask(connection, "GET", f"/status/{status}")[0] == status


@pytest.mark.parametrize("wish", ["200", "600", "-404", "", "teapot"])
def test_only_an_error_status_can_be_asked_for(connection: http.client.HTTPConnection, wish: str) -> None:
    assert ask(connection, "GET", f"/status/{wish}") == (400, b"status: not a number from 400 to 599\n")


def test_events_come_one_by_one(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/events")
    answer = connection.getresponse()
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert [answer.readline() for _ in range(3)] == [b"id: 1\n", b"data: event 1 of 10\n", b"\n"]


@pytest.mark.parametrize("begun", [b"", b"GET / HTT", b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"])
def test_a_silent_connection_is_closed_without_a_word(begun: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with serving(silence=0.05) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(begun)
        assert connection.recv(1000) == b""
    assert capfd.readouterr().err == ""
