"""`python -m benchmarks`, for seconds: what it measures is there, and is shown. Its figures are of no interest here."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.link import Link
from benchmarks.loads import GET, require_wrk
from benchmarks.nginx import find_nginx
from benchmarks.plot import Panel, draw
from benchmarks.programs import Missing, find_program
from benchmarks.systems import choose, parse_template
from benchmarks.usage import processor_seconds, resident_kib
from scripts.emulator import EmulatorMissing, find_starter
from tests.memcached import find_memcached
from tests.system.processes import ROOT, Process, interpreter
from tests.timing import SECOND, wait_until

ANOTHER = (
    "another = {standalone} -m standalone --open --port {{port}}"
    ";; {agent} -m agent --credentials=none --backend=b --proxy=http://127.0.0.1:{{link}} --host=127.0.0.1:{{backend}}"
)


def require(*finders: Callable[[], object]) -> None:
    """Skip where something is missing, unless REQUIRE_BENCHMARKS=1 says that it must be there."""
    try:
        for find in finders:
            find()
    except (Missing, EmulatorMissing) as exc:
        if os.environ.get("REQUIRE_BENCHMARKS") == "1":
            raise
        pytest.skip(f"NOT TESTED: the benchmarks: {exc}")


def test_a_short_run_measures_all_sections_and_a_system_of_the_command_line() -> None:
    require(require_wrk, find_nginx)
    template = ANOTHER.format(standalone=interpreter("standalone"), agent=interpreter("agent"))
    flags = ["--systems", "direct", "ours", "--workers", "1", "--system", template, "--loads", "post"]
    flags += ["--clients", "2", "--rounds", "1", "--rest", "1", "--polls", "20"]

    done = subprocess.run([sys.executable, "-m", "benchmarks", *flags], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if re.match(r"\| (direct|ours|another)", line)]
    assert len(rows) == 3 + 3 + 2  # loads, far, idle
    assert [row[5] for row in rows[:3]] == ["0", "0", "0"]  # errors
    assert "| 20 |" in done.stdout


def test_a_short_run_of_the_services_measures_both_ways_to_wait() -> None:
    require(require_wrk, find_nginx, find_memcached, find_starter)
    flags = ["--loads", "get", "--clients", "2", "--rounds", "1", "--seconds", "1", "--rest", "1", "--warm-up", "16"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.appengine", *flags], cwd=ROOT, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if re.match(r"\| (polling|hints|small GET)", line)]
    assert [row[0].strip("| ") for row in rows[:2]] == ["polling alone", "hints in a memcached"]
    assert [row[5] for row in rows[:2]] == ["0", "0"]  # errors
    assert [row[:3] for row in rows[2:4]] == [
        ["| small GET", "2", way] for way in ("polling alone", "hints in a memcached")
    ]
    assert all(float(row[3]) >= 4 and "exchange" in row[6] for row in rows[2:4])  # calls, and what is written
    assert len(rows) == 2 + 2 + 2 + 2  # loads, calls, idle, processes


def test_a_program_that_is_missing_is_named_with_its_package() -> None:
    with pytest.raises(Missing, match="no-such-program is missing: apt-get install some-package"):
        find_program("no-such-program", package="some-package")


def test_a_system_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="no system begins with 'frp': there are direct, nginx"):
        choose(["frp"], templates=[], workers=[])


@pytest.mark.parametrize("text", ["frp", "= command", "frp =", "frp = ;; agent"])
def test_a_template_needs_a_name_and_a_command(text: str) -> None:
    with pytest.raises(ValueError, match="must be NAME = SERVER COMMAND ;; AGENT COMMAND"):
        parse_template(text)


def test_a_link_delays_both_ways_and_keeps_bytes_in_order() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as far,
        closing(Link(far.getsockname()[1], round_trip=0.1)) as link,
        socket.create_connection(("127.0.0.1", link.port), timeout=10 * SECOND) as user,
    ):
        began = time.monotonic()
        user.sendall(b"begin ")
        server, _ = far.accept()
        user.sendall(b"and end")
        user.shutdown(socket.SHUT_WR)
        with server:
            heard = b"".join(iter(lambda: server.recv(100), b""))
            arrived = time.monotonic()
            server.sendall(b"answer")
        answer = b"".join(iter(lambda: user.recv(100), b""))

    assert (heard, answer) == (b"begin and end", b"answer")
    assert arrived - began >= 0.14  # a handshake, and one way
    assert time.monotonic() - arrived >= 0.045
    assert link.messages >= 1


def test_usage_is_of_a_process_and_of_those_it_has_started_in_sessions_of_their_own(tmp_path: Path) -> None:
    child = "import os; os.setsid(); x = bytearray(50_000_000); [i for i in range(10**7)]; input()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    process = Process("parent", [sys.executable, "-c", parent], log=tmp_path / "log", lives_while_open=True)
    try:
        wait_until(lambda: processor_seconds(process.pid) > 0.2, within=20 * SECOND, what="work of the child")

        assert resident_kib(process.pid)[0] > 50_000
    finally:
        process.stop()


def test_a_drawing_is_xml_with_a_line_for_each_system() -> None:
    panels = [Panel(GET.title, {"ours & theirs": {1: 10.0, 64: 2000.0}, "direct": {1: 0.5}})]

    image = ElementTree.fromstring(draw(panels))

    paths = [path.get("d") for path in image.iter("{http://www.w3.org/2000/svg}path") if path.get("class") == "line"]
    assert len(paths) == 4  # two lines, and two in the legend
    assert "ours & theirs" in "".join(image.itertext())
