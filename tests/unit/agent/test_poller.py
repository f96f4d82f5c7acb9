"""The loop of the agent."""

import queue
import threading
from collections.abc import Callable

import pytest

from agent.poller import Poller, yielding
from agent.proxy.errors import ProxyUnavailable
from agent.seen import SeenIds
from agent.transport.client import Interrupt
from agent.transport.errors import Broken
from tests.timing import SECOND, wait_until
from wire.errors import MalformedMessage
from wire.protocol import RequestId

Turn = list[str] | Exception


class Proxy:
    """Gives the turns that a test puts in, and waits for the next."""

    def __init__(self, *turns: Turn) -> None:
        self.turns: queue.Queue[Turn] = queue.Queue()
        for turn in turns:
            self.turns.put(turn)
        self.asked = 0
        self.left = 0
        self.takes_back = True

    def leave(self) -> bool:
        self.left += 1
        return self.takes_back

    def list_pending(self, interrupt: Interrupt) -> list[RequestId]:
        self.asked += 1
        turn = self.turns.get(timeout=10 * SECOND)
        if isinstance(turn, Exception):
            raise turn
        return [RequestId(each) for each in turn]


def a_poller(
    proxy: Proxy,
    run: Callable[[RequestId], None],
    drained: threading.Event,
    *,
    concurrency: int = 4,
    on_death: Callable[[], None] = lambda: None,
) -> Poller:
    return Poller(
        proxy.list_pending,
        run,
        seen=SeenIds(100),
        concurrency=concurrency,
        jitter=lambda: 0.0,
        on_drained=drained.set,
        leave=proxy.leave,
        on_death=on_death,
    )


def run_all(proxy: Proxy, count: int, *, run: Callable[[RequestId], None] = lambda _: None) -> list[str]:
    """The IDs that were run, up to `count` of them."""
    ran: queue.Queue[str] = queue.Queue()
    drained = threading.Event()

    def note(request_id: RequestId) -> None:
        ran.put(request_id)
        run(request_id)

    poller = a_poller(proxy, note, drained)
    poller.start()
    found = [ran.get(timeout=10 * SECOND) for _ in range(count)]
    poller.stop()
    proxy.turns.put([])
    assert drained.wait(10 * SECOND)
    return found


def test_what_is_listed_is_run_once() -> None:
    assert sorted(run_all(Proxy(["a", "b"], ["b", "c"], ["d"]), 4)) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    "error", [ProxyUnavailable("x"), Broken("x"), MalformedMessage("x")], ids=lambda error: type(error).__name__
)
def test_an_error_does_not_end_the_loop(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    assert run_all(Proxy(error, error, ["a"]), 1) == ["a"]
    assert sum("cannot ask the proxy" in message for message in caplog.messages) == 2


def test_a_request_that_fails_does_not_end_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    def fail(request_id: RequestId) -> None:
        raise ZeroDivisionError

    assert sorted(run_all(Proxy(["a"], ["b"]), 2, run=fail)) == ["a", "b"]
    assert "a the agent failed" in caplog.messages


def test_nothing_is_asked_for_while_there_is_no_room() -> None:
    proxy, drained, proceed, begun = Proxy(["a"]), threading.Event(), threading.Event(), threading.Event()

    def wait(request_id: RequestId) -> None:
        begun.set()
        assert proceed.wait(10 * SECOND)

    poller = a_poller(proxy, wait, drained, concurrency=1)
    poller.start()
    assert begun.wait(10 * SECOND)
    asked = proxy.asked
    running = poller.stop()
    before = drained.is_set()
    proceed.set()
    assert drained.wait(10 * SECOND)
    assert (asked, running, before) == (1, 1, False)


def test_what_is_listed_after_the_stop_is_not_run() -> None:
    ran: list[str] = []
    proxy, drained = Proxy(), threading.Event()
    poller = a_poller(proxy, ran.append, drained)
    poller.start()
    running = poller.stop()
    proxy.turns.put(["late"])
    poller._thread.join(10 * SECOND)
    assert drained.wait(10 * SECOND)
    assert (running, ran, proxy.left) == (0, [], 1)


def test_what_is_listed_after_the_stop_is_run_where_the_proxy_does_not_take_it_back() -> None:
    ran: list[str] = []
    proxy, drained = Proxy(), threading.Event()
    proxy.takes_back = False
    poller = a_poller(proxy, ran.append, drained)
    poller.start()
    poller.stop()
    proxy.turns.put(["late", "later"])
    assert drained.wait(10 * SECOND)
    assert (sorted(ran), proxy.left) == (["late", "later"], 1)


def test_a_poll_that_cannot_be_ended_does_not_keep_the_agent() -> None:
    proxy, drained = Proxy(), threading.Event()
    poller = a_poller(proxy, lambda _: None, drained)
    poller.start()
    wait_until(lambda: proxy.asked, within=10 * SECOND, what="a poll")
    poller.stop()
    assert drained.wait(10 * SECOND)
    assert proxy.left == 0
    proxy.turns.put([])


def test_a_poller_that_never_began_has_nobody_to_tell() -> None:
    proxy, drained = Proxy(), threading.Event()
    assert a_poller(proxy, lambda _: None, drained).stop() == 0
    assert (drained.is_set(), proxy.left) == (True, 0)


def test_a_pause_ends_asking_and_gives_back_what_was_not_begun() -> None:
    ran: queue.Queue[str] = queue.Queue()
    proxy, drained = Proxy(), threading.Event()
    poller = a_poller(proxy, ran.put, drained)
    poller.pause()
    poller.start()
    assert (proxy.asked, proxy.left) == (0, 0)
    poller.resume()
    wait_until(lambda: proxy.asked, within=10 * SECOND, what="a poll")
    poller.pause()
    proxy.turns.put(["a"])
    wait_until(lambda: proxy.left, within=10 * SECOND, what="the word to the proxy")
    assert (proxy.asked, ran.qsize()) == (1, 0)

    for _ in range(50):
        proxy.turns.put(["a"])  # listed again, because the proxy has taken it back
    poller.resume()
    assert ran.get(timeout=10 * SECOND) == "a"
    poller.pause()
    running = poller.stop()
    proxy.turns.put([])
    assert drained.wait(10 * SECOND)
    assert (running, proxy.left) == (0, 2)


def test_a_loop_that_dies_says_so(caplog: pytest.LogCaptureFixture) -> None:
    proxy, died = Proxy(["a"]), threading.Event()
    poller = a_poller(proxy, lambda _: None, threading.Event(), on_death=died.set)
    poller._pool.shutdown()  # no thread can be had for what is listed
    poller.start()
    assert died.wait(10 * SECOND)
    assert not poller.is_working
    assert "the agent cannot ask for requests any more" in caplog.messages


def test_a_request_that_waits_gives_its_slot_back() -> None:
    proxy, drained, proceed = Proxy(["wait-1", "wait-2"], ["work"]), threading.Event(), threading.Event()
    ended: queue.Queue[str] = queue.Queue()

    def run(request_id: RequestId) -> None:
        if request_id.startswith("wait"):
            with yielding():
                assert proceed.wait(10 * SECOND)
        ended.put(request_id)

    poller = a_poller(proxy, run, drained, concurrency=1)
    poller.start()
    first = ended.get(timeout=10 * SECOND)
    running = poller.stop()
    before = drained.is_set()
    proxy.turns.put([])
    proceed.set()
    assert drained.wait(10 * SECOND)
    assert (first, running, before, ended.qsize()) == ("work", 2, False, 2)


def test_a_slot_is_taken_again_after_the_wait() -> None:
    proxy, drained, proceed, begun = Proxy(["a"]), threading.Event(), threading.Event(), threading.Event()

    def run(request_id: RequestId) -> None:
        with yielding():
            pass
        begun.set()
        assert proceed.wait(10 * SECOND)

    poller = a_poller(proxy, run, drained, concurrency=1)
    poller.start()
    assert begun.wait(10 * SECOND)
    has_room = poller._has_room()
    proxy.turns.put([])
    poller.stop()
    proceed.set()
    assert (drained.wait(10 * SECOND), has_room) == (True, False)


def test_beyond_its_limit_a_request_that_waits_keeps_its_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.poller.MOST_YIELDED", 1)
    poller = a_poller(Proxy(), lambda _: None, threading.Event())
    began = [poller.begin_waiting(), poller.begin_waiting()]
    poller.end_waiting()
    assert (began, poller.begin_waiting()) == ([True, False], True)


def test_elsewhere_yielding_does_nothing() -> None:
    with yielding():
        pass
