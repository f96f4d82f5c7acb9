"""Who posts what, and when."""

import queue
import threading
from collections.abc import Callable

import pytest

from agent.crew import Crew
from agent.proxy.errors import ProxyError
from agent.proxy.outbox import Answer, Outbox
from tests.timing import SECOND, wait_until
from wire.protocol import RequestId


class Posting:
    """Posts wait until they are let go."""

    def __init__(self, width: int = 1) -> None:
        self.begun: queue.Queue[list[str]] = queue.Queue()
        self.proceed = threading.Semaphore(0)
        self.told: queue.Queue[tuple[str, Exception | None]] = queue.Queue()
        self.has_trouble = False
        self.outbox = Outbox(self._post, width=lambda: width, crew=Crew("exchange"))

    def _post(self, answers: list[Answer], before_pause: Callable[[], None]) -> None:
        self.begun.put([str(answer.request_id) for answer in answers])
        if self.has_trouble:
            self.has_trouble = False
            before_pause()
            before_pause()
        assert self.proceed.acquire(timeout=10 * SECOND)
        for answer in answers:
            answer.told(None)

    def put(self, name: str) -> threading.Thread:
        answer = Answer(RequestId(name), b"", "", lambda why_not: self.told.put((name, why_not)))
        thread = threading.Thread(target=self.outbox.put, args=(answer,))
        thread.start()
        return thread

    def next(self) -> list[str]:
        return self.begun.get(timeout=10 * SECOND)


def test_a_lone_answer_is_posted_at_once_by_who_has_it() -> None:
    posting = Posting()
    thread = posting.put("a")
    assert posting.next() == ["a"]
    posting.proceed.release()
    thread.join(10 * SECOND)
    assert posting.told.get_nowait() == ("a", None)


def test_what_comes_meanwhile_goes_together_and_keeps_nobody() -> None:
    posting = Posting()
    posting.put("a")
    assert posting.next() == ["a"]
    for name in ("b", "c", "d"):
        posting.put(name).join(10 * SECOND)  # it does not wait for the post
    posting.proceed.release(2)
    assert posting.next() == ["b", "c", "d"]


def test_a_wide_link_has_several_posts_at_a_time() -> None:
    posting = Posting(width=2)
    posting.put("a")
    posting.put("b")
    assert sorted([posting.next(), posting.next()]) == [["a"], ["b"]]
    posting.put("c").join(10 * SECOND)
    assert posting.begun.empty()
    posting.proceed.release(3)
    assert posting.next() == ["c"]


def test_what_waits_does_not_wait_for_a_post_that_is_repeated() -> None:
    posting = Posting()
    posting.has_trouble = True
    posting.put("a")
    assert posting.next() == ["a"]
    posting.put("b")
    assert posting.next() == ["b"]
    posting.proceed.release(2)
    wait_until(lambda: posting.told.qsize() == 2, within=10 * SECOND, what="both")
    posting.put("c")
    assert posting.next() == ["c"]
    posting.proceed.release()


def test_no_more_go_together_than_a_batch_holds() -> None:
    posting = Posting()
    posting.put("first")
    assert posting.next() == ["first"]
    for number in range(40):
        posting.put(str(number)).join(10 * SECOND)
    posting.proceed.release(3)
    sizes = [len(posting.next()), len(posting.next())]
    assert (sum(sizes), max(sizes) <= 26) == (40, True)


def test_what_nobody_has_foreseen_is_told(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Exception | None] = []

    def fail(answers: list[Answer], before_pause: Callable[[], None]) -> None:
        raise ZeroDivisionError

    outbox = Outbox(fail, width=lambda: 1, crew=Crew("exchange"))
    for _ in range(2):
        outbox.put(Answer(RequestId("a"), b"", "", told.append))
    assert [type(why_not) for why_not in told] == [ProxyError, ProxyError]
    assert caplog.messages == ["answers could not be posted"] * 2
