"""The program: its flags, its start and its end."""

import json
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.standalone.by_hand import OK, Agent, ask
from tests.standalone.conftest import Start
from tests.system.processes import ROOT, Process, interpreter
from tests.system.rawhttp import Connection, get
from tests.timing import SECOND, wait_until


def run(*flags: str) -> subprocess.CompletedProcess[str]:
    """The program, until it ends by itself."""
    argv = [interpreter("standalone"), "-m", "standalone", *flags]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=20 * SECOND, check=False)


def write(folder: Path, *, users: str | list[str]) -> Path:
    """A file of settings."""
    path = folder / "proxy.toml"
    path.write_text(f"[listen]\nusers = {users!r}\n")
    return path


def test_it_says_where_it_listens_and_that_it_is_open(start: Start) -> None:
    process, url = start()

    assert f"Listening on {url} - OPEN" in process.printed()
    assert "WARNING" not in process.printed()
    assert get(url, "/").status == 404


def test_without_open_it_refuses_to_start_and_says_why() -> None:
    ended = run("--port=0")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("agents.tokens: is not set")


def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("--open", f"--port={port}")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(
        f"listen.users: port {port} on 127.0.0.1 is in use, by another program or another address of"
    )
    assert len(ended.stderr.splitlines()) == 1


def test_an_address_of_another_machine_is_one_clear_line() -> None:
    ended = run("--open", "--port=0", "--host=192.0.2.1")

    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1)


def test_an_address_that_others_can_reach_is_warned_of(start: Start) -> None:
    process, _ = start("--host=0.0.0.0")

    assert "WARNING: other machines can reach this address" in process.printed()


def test_it_serves_at_all_addresses_of_its_file(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "proxy.sock"
    process, first = start(f"--config={write(tmp_path, users=['127.0.0.1:0', '[::1]:0', f'unix://{path}'])}")
    _, second, third = re.findall(r"Listening on (\S+) - OPEN", process.printed())

    assert [get(url, "/").status for url in (first, second)] == [404, 404]
    assert third == f"unix://{path}"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(b"GET / HTTP/1.1\r\nHost: proxy\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 404 ")


def test_settings_that_cannot_be_used_are_one_clear_line(tmp_path: Path) -> None:
    ended = run("--open", f"--config={write(tmp_path, users='8080')}")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("proxy.toml: listen.users: is '8080', but must be an address")
    assert len(ended.stderr.splitlines()) == 1


def test_settings_can_be_checked_without_serving(tmp_path: Path) -> None:
    ended = run("--open", "--check-config", f"--config={write(tmp_path, users='127.0.0.1:1')}")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "127.0.0.1:1 - users, agents\nOPEN: no passwords, for users or agents\n"


@pytest.mark.parametrize("flags", [[], ["--check-config"]])
def test_two_addresses_in_one_place_are_found_before_it_serves(flags: list[str], tmp_path: Path) -> None:
    settings = write(tmp_path, users=["0.0.0.0:8080", "127.0.0.1:8080"])
    ended = run("--open", f"--config={settings}", *flags)

    assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (2, "", 1)
    assert ended.stderr.startswith(
        "proxy.toml: listen.users: 127.0.0.1:8080 takes the place of 0.0.0.0:8080 in listen.users"
    )


def test_a_check_warns_as_the_start_does(tmp_path: Path) -> None:
    ended = run("--open", "--check-config", f"--config={write(tmp_path, users='0.0.0.0:1')}")

    assert (ended.returncode, len(ended.stdout.splitlines())) == (0, 2)
    assert ended.stderr.startswith("WARNING: other machines can reach this address")


@pytest.mark.parametrize("flags", [[], ["--check-config"]])
def test_a_socket_that_cannot_be_made_is_found_before_it_serves(flags: list[str], tmp_path: Path) -> None:
    ended = run("--open", f"--config={write(tmp_path, users=f'unix://{tmp_path}/missing/proxy.sock')}", *flags)

    assert (ended.returncode, ended.stdout) == (1, "")
    where = f"unix://{tmp_path}/missing/proxy.sock"
    assert ended.stderr == f"listen.users: cannot listen on {where}: No such file or directory\n"


@pytest.mark.parametrize("flags", [[], ["--check-config"]])
def test_a_limit_of_open_files_that_is_too_low_is_told_of(flags: list[str], start: Start, tmp_path: Path) -> None:
    shell = ["sh", "-c", 'ulimit -n 100 && exec "$@"', "sh", interpreter("standalone"), "-m", "standalone"]
    process = Process("standalone", [*shell, "--open", "--port=0", *flags], log=tmp_path / "standalone.log")
    if not flags:
        process.wait_for_url()
        process.stop()

    assert process.wait(20 * SECOND) == 0
    assert "WARNING: limits.connections: with 10000 of them" in process.printed()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_proxy_stops_at_once(start: Start, number: signal.Signals) -> None:
    process, url = start()
    with Connection(url), Agent(url).open_call("GET", "/agent/pending"):
        time.sleep(0.1)
        began = time.monotonic()
        process.send(number)

        assert process.wait(10 * SECOND) == 0
        assert time.monotonic() - began < 2 * SECOND
    assert "Traceback" not in process.printed()


def test_a_request_under_way_is_finished_and_new_ones_are_refused(start: Start) -> None:
    """Also when its agent has to open a new connection to answer it."""
    process, url = start()
    agent = Agent(url)
    poll = agent.open_call("GET", "/agent/pending")
    time.sleep(0.1)
    with ask(url) as user, poll:
        [request_id] = json.loads(poll.read_reply().body)
        agent.fetch(request_id)
        process.send(signal.SIGTERM)
        time.sleep(0.3)
        late = get(url, "/late")
        posted = agent.post(request_id, OK)

        assert (late.status, late.reason) == (503, "stopping")
        assert (posted.status, user.read_reply().body) == (200, b"ok")
    assert process.wait(10 * SECOND) == 0


def test_a_request_that_takes_too_long_does_not_keep_the_proxy_from_stopping(start: Start) -> None:
    process, url = start("--graceful-shutdown-timeout=500ms")
    agent = Agent(url)
    poll = agent.open_call("GET", "/agent/pending")
    time.sleep(0.1)
    with ask(url) as user, poll:
        poll.read_reply()
        process.send(signal.SIGTERM)

        assert (user.read_reply().status, process.wait(10 * SECOND)) == (503, 0)
    assert "Traceback" not in process.printed()


def test_a_second_interrupt_ends_it_at_once(start: Start) -> None:
    process, url = start()
    poll = Agent(url).open_call("GET", "/agent/pending")
    time.sleep(0.1)
    with ask(url), poll:
        poll.read_reply()
        process.send(signal.SIGINT)
        time.sleep(0.3)
        began = time.monotonic()
        process.send(signal.SIGINT)
        process.wait(10 * SECOND)

        assert time.monotonic() - began < 2 * SECOND


def test_a_service_manager_is_told_when_it_listens_and_when_it_stops(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20 * SECOND)
        argv = [interpreter("standalone"), "-m", "standalone", "--open", "--port=0"]
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        process = Process("standalone", argv, log=tmp_path / "standalone.log", env=env)
        assert manager.recv(100) == b"READY=1"
        process.send(signal.SIGTERM)
        assert manager.recv(100) == b"STOPPING=1"
        assert process.wait(10 * SECOND) == 0


def test_files_of_tokens_are_read_again_when_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "agents.tokens").touch()
    env = {"AGENTS_TOKENS": f"{tmp_path}/agents.tokens", "USERS_SIGN_IN": "public", "LISTEN_USERS": "127.0.0.1:0"}
    argv = [interpreter("standalone"), "-m", "standalone"]
    names = {f"INVERTING_PROXY_{name}": text for name, text in env.items()}
    process = Process("standalone", argv, log=tmp_path / "standalone.log", env=names)
    process.wait_for_url()
    process.send(signal.SIGHUP)

    wait_until(lambda: "agents.tokens: read again" in process.printed(), within=10 * SECOND, what="a line in the log")
    assert process.stop() == 0


def test_it_may_have_as_many_connections_as_the_system_lets_it(tmp_path: Path) -> None:
    command = f"ulimit -Sn 100 && exec {interpreter('standalone')} -m standalone --open --port=0"
    process = Process("standalone", ["/bin/sh", "-c", command], log=tmp_path / "standalone.log")
    process.wait_for_url()
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    process.stop()

    found = re.search(r"^Max open files +(\d+) +(\d+)", limits, re.MULTILINE)
    assert found
    assert found[1] == found[2] != "100"
