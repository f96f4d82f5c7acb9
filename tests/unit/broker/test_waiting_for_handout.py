"""A poll of version 2, in simulated time."""

from collections.abc import Callable

from broker.model import HandedOut, Poll
from broker.waiting import PendingKey, Wait, drive, wait_for_handout
from tests.factories import BACKEND, REQUEST, seconds
from tests.scene import AGENT, POLICY, Scene

POLL = Poll(agent_id=AGENT, poll_id="poll-1", capacity=1)


def poll(
    scene: Scene,
    poll: Poll = POLL,
    is_over: Callable[[], bool] = lambda: False,
    has_news: Callable[[], bool] = lambda: False,
) -> list[HandedOut]:
    waiting = wait_for_handout(scene.store, scene.clock, POLICY, BACKEND, poll, is_over=is_over, has_news=has_news)
    return drive(waiting, scene.waiter)


def test_it_takes_what_is_there_at_once() -> None:
    scene = Scene()
    scene.add(b"GET /")
    (handed,) = poll(scene)

    assert (handed.exchange.request_id, handed.request, scene.elapsed) == (REQUEST, b"GET /", 0)


def test_it_takes_what_arrives_while_it_waits() -> None:
    scene = Scene()
    scene.script((12, scene.add))

    assert (len(poll(scene)), scene.elapsed) == (1, 12)


def test_without_work_it_is_empty_after_thirty_seconds() -> None:
    scene = Scene()

    assert (poll(scene), scene.elapsed) == ([], 30)
    assert scene.waiter.waits == [Wait(PendingKey(BACKEND), seconds(5), seconds(5 * count)) for count in range(6)]


def test_it_ends_when_its_agent_has_left() -> None:
    scene, left = Scene(), list[bool]()
    scene.script((3, lambda: left.append(True)))

    assert (poll(scene, is_over=lambda: bool(left)), scene.elapsed) == ([], 3)


def test_what_is_taken_while_its_agent_leaves_is_taken_back() -> None:
    scene, answers = Scene(), iter([False, True])
    scene.add(b"POST /")

    assert poll(scene, is_over=lambda: next(answers)) == []
    assert len(poll(scene, Poll(agent_id="another", poll_id="poll-2", capacity=1))) == 1


def test_work_goes_before_news() -> None:
    scene = Scene()
    scene.add(b"GET /")

    assert len(poll(scene, has_news=lambda: True)) == 1


def test_work_that_comes_soon_is_waited_for_though_there_is_news() -> None:
    scene = Scene()
    scene.script((0.05, scene.add))

    assert (len(poll(scene, has_news=lambda: True)), scene.elapsed) == (1, 0.05)


def test_with_news_alone_it_ends_a_little_later() -> None:
    scene, news = Scene(), list[bool]()

    assert (poll(scene, has_news=lambda: True), scene.elapsed) == ([], 0.1)
    scene.script((3, lambda: news.append(True)))
    assert (poll(scene, has_news=lambda: bool(news)), scene.elapsed) == ([], 3.1)
