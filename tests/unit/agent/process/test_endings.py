"""What ends the agent."""

import logging
import signal
import threading
from collections.abc import Iterator

import pytest

from agent.process.endings import DRAINED, FAILED, UNHEALTHY, Endings, log_deaths


@pytest.fixture
def endings() -> Iterator[Endings]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield Endings()
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


def test_endings_come_in_their_order(endings: Endings) -> None:
    assert endings.wait(0) is None
    endings.report(UNHEALTHY)
    signal.raise_signal(signal.SIGTERM)
    endings.report(FAILED)
    endings.report(DRAINED)
    assert [endings.wait(0) for _ in range(5)] == [UNHEALTHY, signal.SIGTERM, FAILED, DRAINED, None]


def test_a_thread_that_dies_says_so_without_what_its_error_holds(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)

    def die() -> None:
        raise ValueError("a token")

    log_deaths()
    thread = threading.Thread(target=die, name="worker")
    thread.start()
    thread.join()
    (record,) = caplog.records
    assert record.levelno == logging.CRITICAL
    assert "the thread worker died of ValueError" in record.getMessage()
    assert "in die" in record.getMessage()
    assert "a token" not in record.getMessage().replace('raise ValueError("a token")', "")
