"""With real processes, because that is what this is about; none of them opens a socket."""

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.children import ChildDied, Children, Stopped

SLEEP = "import time; time.sleep(60)"
READY = "print('ready', flush=True); "
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + READY + SLEEP


def python(source: str) -> list[str]:
    return [sys.executable, "-c", source]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The signal handlers as they were before the test."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(signum) for signum in signals]
    yield
    for signum, handler in zip(signals, before, strict=True):
        signal.signal(signum, handler)


def test_a_line_of_a_child_is_waited_for() -> None:
    with Children() as children:
        child = children.start("teller", python("print('Listening on http://127.0.0.1:5'); " + SLEEP))
        assert children.wait_for_line(child, r"Listening on (\S+)")[1] == "http://127.0.0.1:5"


def test_what_does_not_come_in_time_is_named() -> None:
    with Children() as children, pytest.raises(TimeoutError, match="the mute is not there after 0.2 seconds"):
        children.wait_for_line(children.start("mute", python(SLEEP)), "never", timeout=0.2)


def test_a_child_that_dies_is_reported_with_its_name_code_and_last_lines() -> None:
    with Children() as children:
        children.start("agent", python("print('one'); print('two'); raise SystemExit(3)"))
        with pytest.raises(ChildDied) as raised:
            children.watch()
    assert str(raised.value) == "The agent ended with exit code 3. Its last lines:\n    one\n    two"


def test_a_child_that_is_killed_is_reported_with_the_signal() -> None:
    with Children() as children:
        children.start("proxy", python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
        with pytest.raises(ChildDied, match="^The proxy was ended by SIGKILL"):
            children.watch()


def test_children_are_stopped_in_the_reverse_order_of_their_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    source = (
        "import signal, sys, time\n"
        f"def stop(*_):\n    open({str(log)!r}, 'a').write(sys.argv[1]); sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop)\nprint('ready', flush=True)\ntime.sleep(60)"
    )
    with Children() as children:
        for name in "abc":
            children.wait_for_line(children.start(name, [*python(source), name]), "ready")
    assert log.read_text("ascii") == "cba"


def test_a_child_that_does_not_end_is_killed_after_its_grace_with_all_that_it_started() -> None:
    source = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {SLEEP!r}]).pid); {STUBBORN}"
    started = time.monotonic()
    with Children(grace=0.3) as children:
        child = children.start("stubborn", python(source))
        children.wait_for_line(child, "ready")
        grandchild = int(children.wait_for_line(child, r"^(\d+)$")[1])
        assert is_running(grandchild)
    assert time.monotonic() - started < 10
    deadline = time.monotonic() + 5
    while is_running(grandchild) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(grandchild)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_watch_without_an_error(signum: signal.Signals) -> None:
    with Children() as children:
        children.start("sleeper", python(SLEEP))
        threading.Timer(0.1, os.kill, (os.getpid(), signum)).start()
        children.watch()
        with pytest.raises(Stopped):
            children.wait_until(lambda: False, what="nothing", timeout=5)


def test_asking_twice_ends_the_patience_with_a_slow_child() -> None:
    started = time.monotonic()
    with Children(grace=30) as children:
        children.wait_for_line(children.start("stubborn", python(STUBBORN)), "ready")
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        children.watch()
    assert time.monotonic() - started < 10


def test_a_terminals_signal_does_not_reach_the_children() -> None:
    with Children() as children:
        child = children.start("leader", python("import os; print(os.getpgid(0) == os.getpid()); " + SLEEP))
        assert children.wait_for_line(child, "^(True|False)$")[1] == "True"


def test_a_child_sees_what_it_is_given_and_next_to_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKEND", "surprise")
    with Children() as children:
        source = "import os; print(sorted(set(os.environ) & {'BACKEND', 'HOME', 'GIVEN'})); " + SLEEP
        child = children.start("child", python(source), {"GIVEN": "1"})
        assert children.wait_for_line(child, r"^\[.*\]$")[0] == "['GIVEN', 'HOME']"


def test_warnings_errors_and_tracebacks_are_passed_on_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    lines = ["INFO all is well", "WARNING mind this", "an ERROR here", "INFO on"]
    source = f"print(*{lines!r}, sep='\\n', flush=True); raise ValueError('broken')"
    with Children() as children:
        children.start("agent", python(source))
        with pytest.raises(ChildDied):
            children.watch()
    shown = capfd.readouterr().err.splitlines()
    assert shown[:3] == [
        "[agent] WARNING mind this",
        "[agent] an ERROR here",
        "[agent] Traceback (most recent call last):",
    ]
    assert re.fullmatch(r"\[agent\] ValueError: broken", shown[-1])


def test_children_that_are_being_stopped_complain_to_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    source = (
        "import signal, sys, time\n"
        "def stop(*_):\n    print('WARNING the others are gone', flush=True); sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop)\nprint('ready', flush=True)\ntime.sleep(60)"
    )
    with Children() as children:
        children.wait_for_line(children.start("agent", python(source)), "ready")
    assert capfd.readouterr().err == ""
