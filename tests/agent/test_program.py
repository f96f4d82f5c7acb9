"""The agent as a process: start, wrong flags, signals, tokens from a file."""

import base64
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.__main__ import give_up
from tests.agent.peers import ProxyPeer, Wire, an_answer, answering, peer, proxy_peer
from tests.timing import SECOND, wait_until

ROOT = Path(__file__).parents[2]
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@contextmanager
def a_process(*arguments: str, env: Mapping[str, str] | None = None) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "agent", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def flags(proxy: str, backend: str = "http://127.0.0.1:1", credentials: str = "none") -> list[str]:
    return [f"--proxy={proxy}", "--backend=notebook", f"--host={backend}", f"--credentials={credentials}"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "--proxy"),
        (["--nonsense"], "--nonsense"),
        ([*flags("http://127.0.0.1:1"), "--proxy-timeout=soon"], "a duration"),
        (flags("http://example.com", credentials="google"), "https://"),
    ],
)
def test_a_wrong_flag_ends_it_at_once_with_one_line(arguments: list[str], expected: str) -> None:
    with a_process(*arguments) as process:
        output, errors = process.communicate(timeout=10 * SECOND)
    assert (process.returncode, output, errors.count("\n"), expected in errors) == (2, "", 1, True)


def test_it_says_its_version() -> None:
    with a_process("--version") as process:
        output, _ = process.communicate(timeout=10 * SECOND)
    assert (process.returncode, output.startswith("inverting-proxy agent ")) == (0, True)


def test_the_first_poll_comes_within_a_second() -> None:
    with proxy_peer() as proxy, a_process(*flags(proxy.url)):
        began = time.monotonic()
        wait_until(lambda: proxy.calls, within=10 * SECOND, what="the first poll", every=0.01 * SECOND)
        took = time.monotonic() - began
    assert took < 1 * SECOND


def test_it_waits_for_a_proxy_that_is_not_there_yet() -> None:
    with proxy_peer() as gone:
        url = gone.url
    with a_process(*flags(url)) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1 * SECOND)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5 * SECOND) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_agent_ends_at_once(number: signal.Signals) -> None:
    with proxy_peer() as proxy, a_process(*flags(proxy.url)) as process:
        wait_until(lambda: proxy.calls, within=10 * SECOND, what="the first poll")
        began = time.monotonic()
        process.send_signal(number)
        assert (process.wait(5 * SECOND), time.monotonic() - began < 2 * SECOND) == (0, True)


class SlowBackend:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked, self.proceed = threading.Event(), threading.Event()

    def __call__(self, wire: Wire) -> None:
        wire.read_message()
        self.asked.set()
        self.proceed.wait(20 * SECOND)
        wire.send(an_answer(b"late"))


@contextmanager
def a_busy_process(proxy: ProxyPeer, *further: str) -> Iterator[tuple["subprocess.Popen[str]", SlowBackend]]:
    slow = SlowBackend()
    with peer(slow) as backend, a_process(*flags(proxy.url, backend.url), *further) as process:
        proxy.add(GET)
        assert slow.asked.wait(10 * SECOND)
        try:
            yield process, slow
        finally:
            slow.proceed.set()


def begin_to_stop(process: "subprocess.Popen[str]") -> None:
    """Send SIGTERM, and wait until the process has seen it: a request that comes sooner may still be taken."""
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    assert any("stopping" in line for line in process.stderr)


def test_what_runs_is_finished_before_the_end() -> None:
    with proxy_peer() as proxy, a_busy_process(proxy) as (process, slow):
        begin_to_stop(process)
        proxy.add(GET, request_id="id-2")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5 * SECOND)
        slow.proceed.set()
        assert b"late" in proxy.next_post().head.body
        assert process.wait(5 * SECOND) == 0
        fetched = [call.get_all("X-Inverting-Proxy-Request-ID") for call in proxy.calls if "request" in call.target]
    assert fetched == [["id-1"]]


def test_what_takes_too_long_is_left_at_the_limit() -> None:
    with proxy_peer() as proxy, a_busy_process(proxy, "--graceful-shutdown-timeout=300ms") as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(5 * SECOND) == 1


def test_a_second_signal_ends_it_at_once() -> None:
    with proxy_peer() as proxy, a_busy_process(proxy) as (process, _):
        begin_to_stop(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5 * SECOND) == 1


class BackendOfWebsockets:
    """Takes one, and notes whether the agent is still there a while after it has said that it closes."""

    def __init__(self) -> None:
        self.is_agent_there: bool | None = None

    def __call__(self, wire: Wire) -> None:
        [key] = wire.read_head().get_all("Sec-WebSocket-Key")
        accept = base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest())
        fields = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n" % accept
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\n" + fields)
        assert wire.socket.recv(1)[0] == 0x88  # a Close frame, whole
        wire.socket.recv(1024)
        wire.socket.settimeout(0.3 * SECOND)
        try:
            self.is_agent_there = wire.socket.recv(1) != b""
        except TimeoutError:
            self.is_agent_there = True
        wire.send(b"\x88\x02\x03\xe9")


def test_backends_of_websockets_have_a_moment_to_answer_that_they_are_closed() -> None:
    websockets = BackendOfWebsockets()
    with proxy_peer() as proxy, peer(websockets) as backend:
        further = ("--shim-websockets", "--shim-path=shim")
        with a_process(*flags(proxy.url, backend.url), *further) as process:
            proxy.add(b"POST /shim/open HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nws://x/a")
            assert b'"id"' in proxy.next_post().head.body
            process.send_signal(signal.SIGTERM)
            assert process.wait(5 * SECOND) == 0
    assert websockets.is_agent_there


class Ended(Exception):
    """What `os._exit` is in a test."""


@pytest.mark.parametrize("error", [None, OSError("no network")])
def test_who_gives_up_sends_the_last_counts_first(
    error: Exception | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    class Counts:
        def stop(self) -> None:
            done.append("counts")
            if error is not None:
                raise error

    def end(status: int) -> None:
        done.append(f"exit {status}")
        raise Ended

    monkeypatch.setattr(os, "_exit", end)
    with pytest.raises(Ended):
        give_up("a reason", Counts())  # type: ignore[arg-type]  # as much of telemetry as is used
    assert (done, caplog.messages) == (["counts", "exit 1"], ["a reason"])


def test_a_token_is_read_again_when_its_file_changes_and_is_never_logged(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first-token\n")
    with proxy_peer() as proxy, peer(answering(an_answer(), an_answer())) as backend:
        proxy.poll_seconds = 0.05 * SECOND
        with a_process(*flags(proxy.url, backend.url, f"file:{token}"), "--debug") as process:
            for name in ("first-token", "second-token"):
                wait_until(
                    lambda name=name: any(call.get_all("Authorization") == [f"Bearer {name}"] for call in proxy.calls),  # type: ignore[misc]
                    within=10 * SECOND,
                    what=name,
                )
                token.write_text("second-token\n")
            proxy.add(GET)
            proxy.next_post()
            process.send_signal(signal.SIGTERM)
            output, errors = process.communicate(timeout=5 * SECOND)
    assert ("token\n" in output + errors, "-token" in output + errors, "GET / 200" in errors) == (False, False, True)


def test_a_redirecting_proxy_is_named_and_gets_no_credentials(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a-token")
    with peer(answering(an_answer())) as other:
        fields = f"Location: {other.url}/\r\n"
        redirecting = answering(*[an_answer(status=302, fields=fields)] * 50)
        with peer(redirecting) as proxy, a_process(*flags(proxy.url, credentials=f"file:{token}")) as process:
            assert process.stderr is not None
            line = next(line for line in process.stderr if "redirect" in line)
        assert (f"'{other.url}/'" in line, "a-token" in line, other.accepted) == (True, False, 0)
