"""Health checks over real connections, and what they do to the polls of a real poller."""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from agent.backend_client import BackendClient
from agent.health.check import CheckFailed, build_check
from agent.health.watch import HealthWatch
from agent.messages import Listed
from agent.poller import Poller
from agent.seen import SeenIds
from agent.transport.client import Interrupt
from agent.transport.errors import Broken
from tests.agent.peers import Wire, an_answer, answering, peer
from tests.timing import MS, SECOND, wait_until


def a_check(url: str) -> Callable[[], None]:
    backend = BackendClient(url, connections=1, limit=timedelta(seconds=500 * MS))
    return build_check(backend, host="localhost", path="/health", user_agent="agent")


def test_a_backend_that_answers_is_healthy_again_and_again() -> None:
    with peer(answering(an_answer(), an_answer(b"x" * 100_000), an_answer())) as backend:
        check = a_check(backend.url)
        for _ in range(3):
            check()


def test_a_backend_that_hangs_is_not_healthy() -> None:
    gone = threading.Event()

    def hang(wire: Wire) -> None:
        wire.read_message()
        gone.wait(20 * SECOND)

    with peer(hang) as backend:
        with pytest.raises(CheckFailed, match="silent"):
            a_check(backend.url)()
        gone.set()


def test_a_backend_whose_head_trickles_is_not_healthy() -> None:
    gone = threading.Event()

    def trickle(wire: Wire) -> None:
        wire.read_message()
        wire.send(b"HTTP/1.1 200 OK\r\nX: ")
        while not gone.wait(50 * MS):
            wire.send(b"y")

    with peer(trickle) as backend:
        with pytest.raises(CheckFailed):
            a_check(backend.url)()
        gone.set()


def test_a_backend_that_is_not_there_is_not_healthy() -> None:
    with peer(answering()) as backend:
        url = backend.url
    with pytest.raises(CheckFailed, match="no connection"):
        a_check(url)()


def test_polls_end_with_the_health_of_the_backend_and_begin_with_it() -> None:
    is_well, drained, left, polls = threading.Event(), threading.Event(), threading.Event(), threading.Semaphore(0)

    def serve(wire: Wire) -> None:
        wire.read_message()
        wire.send(an_answer(status=200 if is_well.is_set() else 503))

    class Proxy:
        is_batched, width, most_polls = False, 1, 1

        def poll(self, interrupt: Interrupt, *, capacity: int) -> list[Listed]:
            polls.release()
            raise Broken("the poll was cut short")

        def take(self, listed: Sequence[Listed]) -> Sequence[Listed]:
            return listed

        def leave(self) -> bool:
            left.set()
            return True

    poller = Poller(
        Proxy(), lambda listed, ended: ended(), seen=SeenIds(10), concurrency=1, jitter=lambda: 0.1,
        on_drained=drained.set,
    )  # fmt: skip
    reports: list[str] = []
    with peer(serve) as backend:
        watch = HealthWatch(a_check(backend.url), poller, interval=20 * MS, threshold=3, report=reports.append)
        watch.start()
        poller.start()
        wait_until(lambda: len(reports) > 3, within=20 * SECOND, what="checks")
        assert not polls.acquire(blocking=False)
        for _ in range(2):
            left.clear()
            is_well.set()
            assert polls.acquire(timeout=20 * SECOND)
            is_well.clear()
            assert left.wait(20 * SECOND)
            assert reports[-1] == "it answers /health with status 503"
            while polls.acquire(blocking=False):
                """Forget the polls before the pause."""
        watch.stop()
        poller.stop()
        assert drained.wait(20 * SECOND)
