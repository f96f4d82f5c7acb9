"""Over real sockets: whether a port is free is a question to the kernel."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest

from scripts.readiness import (
    Answer,
    NotReady,
    ask,
    is_answered,
    is_carried,
    is_up,
    parse_port,
    require_environment,
    require_free,
)

pytestmark = pytest.mark.loopback


@contextmanager
def serving(status: int, reason: str = "") -> Iterator[int]:
    """A server that gives this answer; its port."""

    class Handler(BaseHTTPRequestHandler):
        fields: ClassVar = {"X-Inverting-Proxy-Error": reason} if reason else {}

        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": "0", **self.fields}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@contextmanager
def listening() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_port_in_use_is_named_together_with_the_way_out() -> None:
    with listening() as port, pytest.raises(NotReady) as raised:
        require_free(port, how="Choose another: make run PORT=1234")
    assert str(raised.value) == (
        f"Port {port} cannot be used (Address already in use). Choose another: make run PORT=1234"
    )


def test_a_port_that_has_just_been_left_is_free() -> None:
    with serving(200) as port:
        ask(port)
    assert require_free(port, how="") is None  # type: ignore[func-returns-value]


def test_an_environment_that_is_not_there_comes_with_the_command_that_makes_it() -> None:
    with pytest.raises(NotReady, match=r"make \.venv/nowhere/\.installed$"):
        require_environment("nowhere")


def test_an_answer_tells_a_backends_error_from_the_proxys() -> None:
    with serving(503) as port:
        assert ask(port) == Answer(503, "")
    with serving(503, "no-agent") as port:
        assert ask(port) == Answer(503, "no-agent")


def test_where_nothing_listens_there_is_no_answer() -> None:
    assert ask(free_port()) is None


@pytest.mark.parametrize(
    ("status", "reason", "answered", "carried"),
    [
        (200, "", True, True),
        (500, "", False, True),
        (502, "backend-unreachable", False, True),
        (503, "no-agent", False, False),
        (404, "no-backend", False, False),
    ],
)
def test_an_agent_carries_whatever_is_not_refused_for_want_of_one(
    status: int, reason: str, answered: bool, carried: bool
) -> None:
    with serving(status, reason) as port:
        assert (is_answered(port), is_carried(port)) == (answered, carried)


def test_a_server_is_up_once_it_answers_whatever_it_says() -> None:
    with serving(500) as port:
        assert is_up(port)
    with listening() as port:
        assert not is_up(port, timeout=0.1)
    assert not is_up(free_port())


def test_a_backend_that_takes_its_time_is_carried_and_not_answered() -> None:
    with listening() as port:
        assert (is_answered(port, timeout=0.1), is_carried(port, timeout=0.1)) == (False, True)


def test_a_port_is_a_number_with_room_for_those_behind_it() -> None:
    assert parse_port("65533", count=3) == 65533
    for text in ("", "0", "-1", "65534", "8080x", "٨٠٨٠"):
        with pytest.raises(NotReady, match="and not a number from 1 to 65533"):
            parse_port(text, count=3)
