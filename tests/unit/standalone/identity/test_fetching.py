"""`standalone.identity.fetching`, over loopback."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from broker.errors import StoreUnavailable
from standalone.identity.fetching import WebClient

pytestmark = pytest.mark.loopback


class Server(ThreadingHTTPServer):
    """Answers with what a test says, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.status, self.body, self.fields = 200, b'{"a": 1}', {}
        self.gate = threading.Event()
        self.gate.set()
        self.url = f"http://127.0.0.1:{self.server_port}/path"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.answer(b"")

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body: bytes) -> None:
        self.server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.server.gate.wait(20)
        self.send_response(self.server.status)
        for name, value in self.server.fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.gate.set()
        server.shutdown()
        thread.join()


def get(url: str) -> object:
    return asyncio.run(WebClient().get(url))


def test_json_is_read(server: Server) -> None:
    assert get(server.url) == {"a": 1}


def test_a_form_is_posted_and_the_status_told(server: Server) -> None:
    server.status, server.body = 400, b'{"error": "invalid_grant"}'
    answered = asyncio.run(WebClient().post(server.url, {"code": "a b"}, headers={"Authorization": "Basic x"}))

    assert answered == (400, {"error": "invalid_grant"})
    (_, fields, body), *_ = server.asked
    assert (fields["authorization"], fields["content-type"], body) == (
        "Basic x",
        "application/x-www-form-urlencoded",
        b"code=a+b",
    )


def test_what_is_no_json_is_told_from_it(server: Server) -> None:
    server.body = b"<html>"

    assert asyncio.run(WebClient().post(server.url, {})) == (200, None)
    with pytest.raises(StoreUnavailable, match="status 200, not with JSON"):
        get(server.url)


def test_a_redirect_is_not_followed(server: Server) -> None:
    server.status, server.fields = 302, {"Location": server.url}
    with pytest.raises(StoreUnavailable, match="status 302"):
        get(server.url)
    assert len(server.asked) == 1


def test_a_provider_that_fails_is_down(server: Server) -> None:
    server.status = 503
    with pytest.raises(StoreUnavailable, match="status 503"):
        asyncio.run(WebClient().post(server.url, {}))


def test_so_much_is_read_and_no_more(server: Server) -> None:
    server.body = b" " * (1 << 20) + b"1"
    with pytest.raises(StoreUnavailable, match="too long"):
        get(server.url)


def test_nobody_there_is_told(server: Server) -> None:
    with pytest.raises(StoreUnavailable, match="Connection"):
        get("http://127.0.0.1:1/")


def test_no_password_is_taken_from_a_netrc(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    get(server.url)

    assert "authorization" not in server.asked[0][1]


def test_the_event_loop_goes_on_meanwhile(server: Server) -> None:
    async def scenario() -> object:
        server.gate.clear()
        asking = asyncio.ensure_future(WebClient().get(server.url))
        while not server.asked:
            await asyncio.sleep(0.01)
        turns = sum([await asyncio.sleep(0, 1) for _ in range(100)])
        assert (turns, asking.done()) == (100, False)
        server.gate.set()
        return await asking

    assert asyncio.run(scenario()) == {"a": 1}
