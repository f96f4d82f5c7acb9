"""The loop of the agent."""

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import pytest

from agent.crew import Crew
from agent.messages import Listed, Request, id_of
from agent.poller import Poller
from agent.proxy.errors import ProxyUnavailable
from agent.seen import SeenIds
from agent.slots import yielding
from agent.transport.client import Interrupt
from agent.transport.errors import Broken
from tests.timing import MS, SECOND, wait_until
from wire.errors import MalformedMessage
from wire.headers import Headers
from wire.http1 import RequestHead
from wire.protocol import RequestId

Turn = Sequence[Listed] | Exception
Run = Callable[[Listed], None]


def ids(*names: str) -> list[Listed]:
    return [RequestId(name) for name in names]


def a_request(name: str) -> Request:
    return Request(RequestId(name), "", RequestHead("GET", "/", Headers(), None), b"")


class Proxy:
    """Gives the turns that a test puts in, and waits for the next."""

    def __init__(self, *turns: Turn, is_batched: bool = False, width: int = 1, most_polls: int = 16) -> None:
        self.turns: queue.Queue[Turn] = queue.Queue()
        for turn in turns:
            self.turns.put(turn)
        self.is_batched = is_batched
        self.width = width
        self.most_polls = most_polls if is_batched else 1
        self.capacities: list[int] = []
        self.together: dict[RequestId, Request] = {}
        """What is given at once, of what the polls only name."""
        self.refused: set[RequestId] = set()
        self.left = 0
        self.takes_back = True
        self.asking = 0
        self._lock = threading.Lock()

    @property
    def asked(self) -> int:
        return len(self.capacities)

    def take(self, listed: Sequence[Listed]) -> Sequence[Listed]:
        return [self.together.get(id_of(each), each) for each in listed if id_of(each) not in self.refused]

    def leave(self) -> bool:
        self.left += 1
        if self.is_batched:
            for _ in range(self.asking):
                self.turns.put([])
        return self.takes_back

    def abort(self) -> None:
        """Of one poll, whichever."""
        self.turns.put([])

    def poll(self, interrupt: Interrupt, *, capacity: int) -> Sequence[Listed]:
        with self._lock:
            self.capacities.append(capacity)
            self.asking += 1
        try:
            # Of one that cannot be ended by leaving, a test says itself what becomes of it.
            with interrupt.over(self) if self.is_batched else nullcontext():
                turn = self.turns.get(timeout=10 * SECOND)
        finally:
            with self._lock:
                self.asking -= 1
        if isinstance(turn, Exception):
            raise turn
        return turn


def a_poller(
    proxy: Proxy,
    run: Run,
    drained: threading.Event,
    *,
    concurrency: int = 4,
    on_death: Callable[[], None] = lambda: None,
    crew: Crew | None = None,
) -> Poller:
    def run_to_the_end(listed: Listed, ended: Callable[[], None]) -> None:
        run(listed)
        ended()

    return Poller(
        proxy,
        run_to_the_end,
        seen=SeenIds(100),
        concurrency=concurrency,
        jitter=lambda: 0.0,
        on_drained=drained.set,
        on_death=on_death,
        crew=crew,
    )


def run_all(proxy: Proxy, count: int, *, run: Run = lambda _: None) -> list[str]:
    """The IDs that were run, up to `count` of them."""
    ran: queue.Queue[str] = queue.Queue()
    drained = threading.Event()

    def note(listed: Listed) -> None:
        ran.put(id_of(listed))
        run(listed)

    poller = a_poller(proxy, note, drained)
    poller.start()
    found = [ran.get(timeout=10 * SECOND) for _ in range(count)]
    poller.stop()
    proxy.turns.put([])
    assert drained.wait(10 * SECOND)
    return found


def test_what_is_listed_is_run_once() -> None:
    assert sorted(run_all(Proxy(ids("a", "b"), ids("b", "c"), ids("d")), 4)) == ["a", "b", "c", "d"]


def test_of_what_was_only_named_the_requests_are_run_that_the_proxy_gives_at_once() -> None:
    proxy = Proxy(ids("a", "b"), is_batched=True)
    proxy.together = {RequestId("a"): a_request("a"), RequestId("b"): a_request("b")}
    ran: list[Listed] = []
    run_all(proxy, 2, run=ran.append)
    assert all(isinstance(each, Request) for each in ran)


def test_what_this_agent_did_not_get_may_be_listed_to_it_again() -> None:
    class Later(Proxy):
        def take(self, listed: Sequence[Listed]) -> Sequence[Listed]:
            taken = super().take(listed)
            self.refused.clear()
            return taken

    proxy = Later(ids("a", "b"), ids("a", "b"), is_batched=True, most_polls=1)
    proxy.refused = {RequestId("a")}
    assert sorted(run_all(proxy, 2)) == ["a", "b"]


def test_what_many_processes_of_a_proxy_list_again_does_not_keep_what_is_new() -> None:
    # With a tenth of a second for each this would take longer than the new one is waited for.
    known = [ids("a")] * 150
    assert run_all(Proxy(*known, ids("b"), is_batched=True, most_polls=1), 2) == ["a", "b"]


@pytest.mark.parametrize(
    "error", [ProxyUnavailable("x"), Broken("x"), MalformedMessage("x")], ids=lambda error: type(error).__name__
)
def test_an_error_does_not_end_the_loop(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    assert run_all(Proxy(error, error, ids("a")), 1) == ["a"]
    assert sum("cannot ask the proxy" in message for message in caplog.messages) == 2


def test_a_request_that_fails_does_not_end_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    def fail(listed: Listed) -> None:
        raise ZeroDivisionError

    assert sorted(run_all(Proxy(ids("a"), ids("b")), 2, run=fail)) == ["a", "b"]
    assert "a the agent failed" in caplog.messages


def test_nothing_is_asked_for_while_there_is_no_room() -> None:
    proxy, drained, proceed, begun = Proxy(ids("a")), threading.Event(), threading.Event(), threading.Event()

    def wait(listed: Listed) -> None:
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
    ran: list[Listed] = []
    proxy, drained = Proxy(), threading.Event()
    poller = a_poller(proxy, ran.append, drained)
    poller.start()
    wait_until(lambda: proxy.asked, within=10 * SECOND, what="a poll", every=1 * MS)
    running = poller.stop()
    proxy.turns.put(ids("late"))
    assert drained.wait(10 * SECOND)
    assert (running, ran, proxy.left) == (0, [], 1)


def test_what_is_listed_after_the_stop_is_run_where_the_proxy_does_not_take_it_back() -> None:
    ran: list[Listed] = []
    proxy, drained = Proxy(), threading.Event()
    proxy.takes_back = False
    poller = a_poller(proxy, ran.append, drained)
    poller.start()
    wait_until(lambda: proxy.asked, within=10 * SECOND, what="a poll", every=1 * MS)
    poller.stop()
    proxy.turns.put(ids("late", "later"))
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
    ran: queue.Queue[Listed] = queue.Queue()
    proxy, drained = Proxy(), threading.Event()
    poller = a_poller(proxy, ran.put, drained)
    poller.pause()
    poller.start()
    assert (proxy.asked, proxy.left) == (0, 0)
    poller.resume()
    wait_until(lambda: proxy.asked, within=10 * SECOND, what="a poll")
    poller.pause()
    proxy.turns.put(ids("a"))
    wait_until(lambda: proxy.left, within=10 * SECOND, what="the word to the proxy")
    assert (proxy.asked, ran.qsize()) == (1, 0)

    for _ in range(50):
        proxy.turns.put(ids("a"))  # listed again, because the proxy has taken it back
    poller.resume()
    assert ran.get(timeout=10 * SECOND) == "a"
    poller.pause()
    running = poller.stop()
    proxy.turns.put([])
    assert drained.wait(10 * SECOND)
    assert (running, proxy.left) == (0, 2)


class OneThread(Crew):
    """Has no second one."""

    def __init__(self) -> None:
        super().__init__("exchange")
        self._tasks = 0

    def run(self, task: Callable[[], None]) -> None:
        self._tasks += 1
        if self._tasks > 1:
            raise RuntimeError("can't start new thread")
        super().run(task)


def test_a_loop_that_dies_says_so(caplog: pytest.LogCaptureFixture) -> None:
    proxy, died = Proxy(ids("a", "b")), threading.Event()
    poller = a_poller(proxy, lambda _: None, threading.Event(), on_death=died.set, crew=OneThread())
    poller.start()
    assert died.wait(10 * SECOND)
    assert not poller.is_working
    assert "the agent cannot ask for requests any more" in caplog.messages


def test_what_nobody_has_foreseen_does_not_end_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    proxy, drained = Proxy(ZeroDivisionError()), threading.Event()
    poller = a_poller(proxy, lambda _: None, drained)
    poller.start()
    wait_until(lambda: "polling failed" in caplog.messages, within=10 * SECOND, what="the error")
    assert poller.is_working
    poller.stop()
    assert drained.wait(10 * SECOND)


def test_a_request_that_waits_gives_its_slot_back() -> None:
    proxy, drained, proceed = Proxy(ids("wait-1", "wait-2"), ids("work")), threading.Event(), threading.Event()
    ended: queue.Queue[str] = queue.Queue()

    def run(listed: Listed) -> None:
        if id_of(listed).startswith("wait"):
            with yielding():
                assert proceed.wait(10 * SECOND)
        ended.put(id_of(listed))

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
    proxy, drained, proceed, begun = Proxy(ids("a")), threading.Event(), threading.Event(), threading.Event()

    def run(listed: Listed) -> None:
        with yielding():
            pass
        begun.set()
        assert proceed.wait(10 * SECOND)

    poller = a_poller(proxy, run, drained, concurrency=1)
    poller.start()
    assert begun.wait(10 * SECOND)
    has_room = poller._runs.has_room()
    proxy.turns.put([])
    poller.stop()
    proceed.set()
    assert (drained.wait(10 * SECOND), has_room) == (True, False)


# Several polls at a time, and requests that come with them.


def test_a_lone_request_runs_in_the_thread_that_asked_for_it() -> None:
    drained = threading.Event()
    asking: list[int] = []

    class Noting(Proxy):
        def poll(self, interrupt: Interrupt, *, capacity: int) -> Sequence[Listed]:
            asking.append(threading.get_ident())
            return super().poll(interrupt, capacity=capacity)

    ran: queue.Queue[int] = queue.Queue()
    proxy = Noting([a_request("a")], is_batched=True)
    poller = a_poller(proxy, lambda _: ran.put(threading.get_ident()), drained)
    poller.start()
    assert ran.get(timeout=10 * SECOND) == asking[0]
    poller.stop()
    assert drained.wait(10 * SECOND)


def test_while_requests_run_as_many_polls_are_on_their_way_as_the_link_is_wide_and_then_one() -> None:
    proxy, drained, proceed = Proxy(is_batched=True, width=3), threading.Event(), threading.Event()
    poller = a_poller(proxy, lambda _: proceed.wait(10 * SECOND), drained, concurrency=64)
    poller.start()
    wait_until(lambda: proxy.asking == 1, within=10 * SECOND, what="a poll")
    for number, polls in enumerate((1, 2, 3, 3), start=1):
        proxy.turns.put([a_request(f"id-{number}")])
        wait_until(
            lambda n=number, p=polls: proxy.asked == n + p and proxy.asking == p, within=10 * SECOND, what="polls"
        )  # type: ignore[misc]
    proceed.set()

    def is_alone() -> bool:
        if proxy.asking > 1:
            proxy.turns.put([])  # a poll ends
        return proxy.asking == 1

    wait_until(is_alone, within=10 * SECOND, what="one poll")
    poller.stop()
    assert drained.wait(10 * SECOND)


def test_while_hardly_anything_runs_there_is_one_poll_to_spare() -> None:
    proxy, drained = Proxy([a_request("a")], is_batched=True, width=1), threading.Event()
    poller = a_poller(proxy, lambda _: None, drained)
    poller.start()
    wait_until(lambda: proxy.asking == 2, within=10 * SECOND, what="two polls")
    poller.stop()
    assert drained.wait(10 * SECOND)


def test_where_one_poll_is_all_there_may_be_it_is_one() -> None:
    proxy, drained = Proxy([a_request("a")], is_batched=True, most_polls=1), threading.Event()
    poller = a_poller(proxy, lambda _: None, drained)
    poller.start()
    wait_until(lambda: proxy.asked == 2, within=10 * SECOND, what="the next poll")
    assert proxy.asking == 1
    poller.stop()
    assert drained.wait(10 * SECOND)


def test_a_poll_that_begins_when_the_proxy_has_been_told_is_cut_short() -> None:
    class Late(Proxy):
        def poll(self, interrupt: Interrupt, *, capacity: int) -> Sequence[Listed]:
            begun.set()
            wait_until(lambda: self.left, within=10 * SECOND, what="the word to the proxy")
            return super().poll(interrupt, capacity=capacity)

    proxy, drained, begun = Late(is_batched=True), threading.Event(), threading.Event()
    poller = a_poller(proxy, lambda _: None, drained)
    poller.start()
    assert begun.wait(10 * SECOND)
    poller.stop()
    assert drained.wait(10 * SECOND)
    assert (proxy.asked, proxy.asking) == (1, 0)


def test_polls_never_ask_for_more_than_there_is_room_for() -> None:
    proxy, drained, proceed = Proxy(is_batched=True, width=3), threading.Event(), threading.Event()
    poller = a_poller(proxy, lambda _: proceed.wait(10 * SECOND), drained, concurrency=4)
    poller.start()
    wait_until(lambda: proxy.capacities == [2], within=10 * SECOND, what="a poll")
    proxy.turns.put([a_request("a"), a_request("b")])
    wait_until(lambda: proxy.asking == 2, within=10 * SECOND, what="two polls")
    assert proxy.capacities == [2, 1, 1]
    proceed.set()
    poller.stop()
    assert drained.wait(10 * SECOND)


def test_where_leaving_ends_the_polls_what_they_still_bring_is_run() -> None:
    ran: list[Listed] = []
    drained = threading.Event()

    class Late(Proxy):
        def leave(self) -> bool:
            self.turns.put([a_request("late"), RequestId("to-fetch")])
            return super().leave()

    proxy = Late(is_batched=True)
    poller = a_poller(proxy, ran.append, drained)
    poller.start()
    wait_until(lambda: proxy.asking, within=10 * SECOND, what="a poll")
    poller.stop()
    assert drained.wait(10 * SECOND)
    assert ([id_of(each) for each in ran], proxy.left) == (["late"], 1)


def test_an_outage_counts_once_however_many_polls_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    proxy, drained, proceed = Proxy(is_batched=True, width=4), threading.Event(), threading.Event()
    poller = a_poller(proxy, lambda _: proceed.wait(10 * SECOND), drained, concurrency=64)
    poller.start()
    proxy.turns.put([a_request(f"id-{number}") for number in range(4)])
    wait_until(lambda: proxy.asking == 4, within=10 * SECOND, what="four polls")
    for _ in range(4):
        proxy.turns.put(Broken("x"))
    wait_until(lambda: proxy.asked == 6 and proxy.asking == 1, within=10 * SECOND, what="one further poll")
    proceed.set()
    poller.stop()
    assert drained.wait(10 * SECOND)
    assert sum("cannot ask the proxy" in message for message in caplog.messages) == 1


def test_what_ends_twice_gives_one_slot_back() -> None:
    proxy, drained = Proxy(ids("a")), threading.Event()

    def run(listed: Listed, ended: Callable[[], None]) -> None:
        ended()
        raise ZeroDivisionError

    poller = Poller(
        proxy, run, seen=SeenIds(100), concurrency=1, jitter=lambda: 0.0, on_drained=drained.set
    )  # fmt: skip
    poller.start()
    wait_until(lambda: proxy.asked == 2, within=10 * SECOND, what="the next poll")
    assert poller.stop() == 0
    proxy.turns.put([])
    assert drained.wait(10 * SECOND)
