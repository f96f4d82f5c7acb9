"""Several workers: who is started and when, how they end, and what is told of them."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.agent.batch_proxy import NOTHING, BatchProxy, an_entry, batch_proxy
from tests.agent.original_proxy import OriginalProxy, original_proxy
from tests.agent.peers import Peer, Received, Wire, an_answer, peer
from tests.system.processes import free_port
from tests.timing import SECOND, wait_until

ROOT = Path(__file__).parents[2]
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
AGENT_ID = "X-Inverting-Proxy-Agent-ID"


def answering_all(wire: Wire) -> None:
    while True:
        wire.read_message()
        wire.send(an_answer(b"hello"))


@contextmanager
def a_process(proxy: str, backend: Peer | None, *flags: str) -> Iterator["subprocess.Popen[str]"]:
    arguments = [f"--proxy={proxy}", "--backend=notebook", "--credentials=none", *flags]
    if backend is not None:
        arguments.append(f"--host={backend.url}")
    process = subprocess.Popen(
        [sys.executable, "-m", "agent", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
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


def children(process: "subprocess.Popen[str]") -> list[int]:
    tasks = Path(f"/proc/{process.pid}/task").iterdir()
    return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]


def askers(proxy: BatchProxy | OriginalProxy) -> set[str]:
    """The names of those that have asked."""

    def polls() -> list[Received]:
        return proxy.named("GET", "/agent/pending") if isinstance(proxy, BatchProxy) else proxy.kinds("list")

    return {call.get_all(AGENT_ID)[0] for call in polls()}


@contextmanager
def a_team(*flags: str, count: int = 2) -> Iterator[tuple["subprocess.Popen[str]", BatchProxy]]:
    """An agent of so many workers, each of which has asked."""
    with (
        batch_proxy() as proxy,
        peer(answering_all) as backend,
        a_process(proxy.url, backend, f"--workers={count}", *flags) as process,
    ):
        wait_until(lambda: proxy.polling, within=20 * SECOND, what="the first poll")
        assert len(askers(proxy)) == 1
        proxy.polls.put(NOTHING)
        wait_until(lambda: len(askers(proxy)) == count, within=20 * SECOND, what="a poll of each worker")
        yield process, proxy


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_the_others_start_once_the_proxy_shares_requests_out_and_all_end_together() -> None:
    with a_team(count=3) as (process, proxy):
        helpers = children(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10 * SECOND) == 0
        assert [is_gone(pid) for pid in helpers] == [True, True]
    farewells = {call.get_all(AGENT_ID)[0] for call in proxy.named("DELETE", "/agent/pending")}
    assert farewells == askers(proxy)


@pytest.mark.parametrize("is_app_engine", [False, True], ids=["stand-alone", "App Engine"])
def test_where_the_proxy_is_the_originals_there_is_one(is_app_engine: bool) -> None:
    proxy = OriginalProxy(is_app_engine, poll_seconds=0.05 * SECOND)
    with original_proxy(proxy), peer(answering_all) as backend, a_process(proxy.url, backend, "--workers=2") as process:
        proxy.add(GET)
        proxy.answer_to()
        polls = len(proxy.kinds("list"))
        wait_until(
            lambda: len(proxy.kinds("list")) > polls + 15, within=20 * SECOND, what="more than a second of polls"
        )
        assert (children(process), len(askers(proxy)), len(proxy.kinds("fetch"))) == ([], 1, 1)


def test_a_proxy_that_is_replaced_by_the_originals_is_left_to_the_first() -> None:
    with a_team() as (process, proxy):
        [helper] = children(process)
        for _ in range(4):
            proxy.polls.put(an_answer(b"null"))
        wait_until(lambda: is_gone(helper), within=20 * SECOND, what="the end of the second worker")
        assert process.poll() is None


def test_no_secrets_are_on_a_command_line() -> None:
    with a_team("--request-header=X-Key: secret") as (process, _):
        [helper] = children(process)
        command = Path(f"/proc/{helper}/cmdline").read_bytes()
        assert b"secret" in Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert command.split(b"\0")[1:-1] == [b"-m", b"agent"]


def test_a_worker_that_dies_is_replaced() -> None:
    with a_team() as (process, proxy):
        [helper] = children(process)
        os.kill(helper, signal.SIGKILL)
        wait_until(lambda: len(askers(proxy)) == 3, within=20 * SECOND, what="a poll of another worker")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10 * SECOND) == 0
        assert process.stderr is not None
        assert "worker 2 ended with status -9: it starts again in 1 s" in process.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_for_the_first_alone(number: signal.Signals) -> None:
    with a_team() as (process, _):
        [helper] = children(process)
        os.kill(helper, number)
        os.kill(helper, number)
        with pytest.raises(TimeoutError):
            wait_until(lambda: is_gone(helper), within=0.5 * SECOND, what="its end")
        process.send_signal(number)
        assert process.wait(10 * SECOND) == 0


def test_when_the_first_is_killed_the_others_end_by_themselves() -> None:
    with a_team() as (process, _):
        [helper] = children(process)
        process.kill()
        wait_until(lambda: is_gone(helper), within=10 * SECOND, what="the end of the second worker")


def hanging(wire: Wire) -> None:
    wire.read_message()
    wire.read_message()


def test_what_a_worker_leaves_unfinished_counts() -> None:
    with batch_proxy() as proxy, peer(hanging) as backend:
        limits = ("--workers=2", "--graceful-shutdown-timeout=300ms")
        with a_process(proxy.url, backend, *limits) as process:
            wait_until(lambda: proxy.polling, within=20 * SECOND, what="the first poll")
            proxy.polls.put(NOTHING)
            wait_until(lambda: len(askers(proxy)) == 2, within=20 * SECOND, what="a poll of each worker")
            for number in range(6):
                proxy.hand_out(an_entry(f"id-{number}", GET))
            wait_until(lambda: backend.accepted >= 6, within=10 * SECOND, what="requests at the backend")
            process.send_signal(signal.SIGTERM)
            assert process.wait(10 * SECOND) == 1


def read(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5 * SECOND) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read().decode()


def test_the_status_port_tells_of_all_together() -> None:
    port = free_port()
    with a_team(f"--status-port={port}") as (_, proxy):
        for number in range(20):
            proxy.hand_out(an_entry(f"id-{number}", GET))
        for number in range(20):
            proxy.answer_to(f"id-{number}")
        counted = 'inverting_proxy_agent_exchanges_total{backend="notebook",code="200",reason=""} 20.0'
        wait_until(lambda: counted in read(port, "/metrics")[1], within=10 * SECOND, what="all twenty")
        assert {call.get_all(AGENT_ID)[0] for call in proxy.named("POST", "/agent/response")} == askers(proxy)
        memory = re.search(r"^process_resident_memory_bytes (\S+)", read(port, "/metrics")[1], re.MULTILINE)
        assert memory is not None and float(memory[1]) > 60_000_000  # two of them
        assert read(port, "/healthz") == (200, "ok\n")
        assert json.loads(read(port, "/readyz")[1])["ready"]
        assert read(port, "/")[0] == 200


@pytest.mark.parametrize("flag", ["--shim-websockets", "--shim-path=shim", "--session-cookie-name=session"])
def test_what_is_kept_in_one_process_needs_one(flag: str) -> None:
    with a_process("http://127.0.0.1:1", None, "--workers=2", flag) as process:
        _, errors = process.communicate(timeout=10 * SECOND)
    assert (process.returncode, errors.count("\n")) == (2, 1)
    assert f"--workers is 2: expected 1 with {flag.partition('=')[0]}" in errors


@pytest.mark.parametrize("flag", ["--shim-websockets", "--session-cookie-name=session"])
def test_without_being_told_it_is_one_there(flag: str) -> None:
    with batch_proxy() as proxy, a_process(proxy.url, None, flag) as process:
        wait_until(lambda: proxy.polling, within=20 * SECOND, what="the first poll")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10 * SECOND) == 0
