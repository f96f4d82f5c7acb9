"""`proxy_service.answer`: the head when it is whole, then the pieces, however the store gives them."""

from functools import partial

import pytest

from broker.errors import BrokenAnswer, NoAnswer
from broker.policy import Policy
from proxy_service.answer import IncomingAnswer
from stores.memory.store import MemoryStore
from tests.factories import BACKEND, REQUEST, a_backend, an_exchange, seconds
from tests.fakes.clock import FakeClock
from tests.fakes.waiter import ScriptedWaiter

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"


class World:
    """One exchange in the hands of an agent, at noon; what the agent posts, and when, is a script."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(Policy())
        self.store.put_backend(a_backend())
        self.store.add_exchange(an_exchange(), b"x", last=True)
        self.store.fetch_exchange(BACKEND, REQUEST, agent_id="a", now=self.clock.now())
        self._posted = 0

    def post(self, data: bytes, *, last: bool = False) -> None:
        self._posted = self.store.append_answer(
            BACKEND, REQUEST, self._posted, data, agent_id="a", last=last, now=self.clock.now()
        )

    def answer(self, *pieces: tuple[float, bytes]) -> IncomingAnswer:
        """The answer, each of whose pieces comes so many seconds after noon."""
        script = [(seconds(when), partial(self.post, data, last=data is pieces[-1][1])) for when, data in pieces]
        return IncomingAnswer(self.store, ScriptedWaiter(self.clock, script), self.clock, Policy(), an_exchange())


def test_the_head_is_waited_for_until_it_is_whole_and_something_follows() -> None:
    world = World()
    answer = world.answer((1, HEAD[:10]), (2, HEAD[10:]), (3, b"abc"), (4, b"def"))

    assert (answer.head().status, world.clock.now() - an_exchange().started) == (200, seconds(3))
    assert list(answer.body()) == [b"abc", b"def"]


def test_an_answer_that_breaks_off_behind_its_head_is_broken_before_its_head_is_given() -> None:
    with pytest.raises(BrokenAnswer, match="not an HTTP answer"):
        World().answer((1, HEAD), (2, b"")).head()


def test_an_answer_that_comes_at_once_is_checked_to_its_end_before_its_head_is_given() -> None:
    with pytest.raises(BrokenAnswer, match="not an HTTP answer"):
        World().answer((1, HEAD + b"abc")).head()


def test_an_answer_that_breaks_off_later_breaks_off_in_its_body() -> None:
    answer = World().answer((1, HEAD + b"abc"), (2, b"d"))
    answer.head()
    body = answer.body()

    assert next(body) == b"abc"
    with pytest.raises(BrokenAnswer):
        next(body)


def test_an_answer_that_does_not_begin_in_time_is_none() -> None:
    with pytest.raises(NoAnswer, match="did not answer in time"):
        World().answer((31, HEAD)).head()


def test_silence_in_a_body_ends_it() -> None:
    answer = World().answer((25, HEAD + b"a"), (50, b"b"), (81, b"cdef"))
    answer.head()
    body = answer.body()

    assert [next(body), next(body)] == [b"a", b"b"]
    with pytest.raises(NoAnswer, match="stopped answering"):
        next(body)


def test_an_exchange_that_is_removed_has_no_answer() -> None:
    world = World()
    answer = world.answer((1, HEAD))
    world.store.delete_exchange(BACKEND, REQUEST)

    with pytest.raises(BrokenAnswer, match="removed"):
        answer.head()
