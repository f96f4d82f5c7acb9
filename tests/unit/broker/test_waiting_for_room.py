"""Appends that wait for room, in simulated time; the same on both sides of an exchange."""

from collections.abc import Callable

import pytest

from broker.errors import ConflictingBytes, NoAnswer
from broker.model import Part
from broker.policy import Policy
from tests.factories import BACKEND, REQUEST, seconds
from tests.scene import POLICY, Scene


def full(side: str, *, window: int, policy: Policy = POLICY) -> Scene:
    """A fetched exchange with eight bytes stored on one side."""
    scene = Scene(window=window, policy=policy)
    scene.add(b"12345678" if side == "request" else b"GET", last=side != "request")
    scene.fetch()
    if side == "answer":
        scene.answer(0, b"12345678")
    return scene


def send(scene: Scene, side: str) -> Callable[[Part], None]:
    return scene.send_request if side == "request" else scene.send_answer


def read_stored(scene: Scene, side: str, offset: int) -> Part | None:
    if side == "request":
        return scene.store.read_request(BACKEND, REQUEST, offset)
    return scene.store.read_answer(BACKEND, REQUEST, offset).part


@pytest.mark.parametrize("side", ["request", "answer"])
def test_a_part_that_fits_is_stored_at_once(side: str) -> None:
    scene = full(side, window=100)

    send(scene, side)(Part(8, b"0123456789", True))

    assert scene.elapsed == 0
    assert read_stored(scene, side, 8) == Part(8, b"0123456789", True)


@pytest.mark.parametrize("side", ["request", "answer"])
def test_a_part_over_the_window_is_stored_as_its_reader_goes_on(side: str) -> None:
    scene = full(side, window=8)
    seen: list[Part | None] = []
    scene.script(*[(at, lambda at=at: seen.append(read_stored(scene, side, at))) for at in (8, 12, 18)])

    send(scene, side)(Part(8, b"0123456789", True))

    assert scene.elapsed == 12
    assert read_stored(scene, side, 12) == Part(12, b"456789", True)


@pytest.mark.parametrize("side", ["request", "answer"])
def test_a_reader_that_stops_is_given_up_later_than_one_gives_up_itself(side: str) -> None:
    scene = full(side, window=8)

    with pytest.raises(NoAnswer, match="^the other side stopped reading$"):
        send(scene, side)(Part(8, b"0123456789", True))
    assert scene.elapsed == 35


@pytest.mark.parametrize(("side", "waited"), [("request", 35), ("answer", 900)])
def test_an_answer_may_wait_for_longer_where_its_reader_is_looked_after(side: str, waited: int) -> None:
    scene = full(side, window=8, policy=Policy(unread_wait=seconds(900)))

    with pytest.raises(NoAnswer):
        send(scene, side)(Part(8, b"0123456789", True))
    assert scene.elapsed == waited


@pytest.mark.parametrize("side", ["request", "answer"])
def test_a_slow_reader_is_not_given_up_while_it_goes_on(side: str) -> None:
    scene = full(side, window=8)
    scene.script(*[(25 * count, lambda at=count: read_stored(scene, side, at)) for count in range(1, 11)])

    send(scene, side)(Part(8, b"0123456789", True))

    assert scene.elapsed == 250


@pytest.mark.parametrize("side", ["request", "answer"])
def test_a_part_that_is_sent_again_waits_for_nothing(side: str) -> None:
    scene = full(side, window=8)

    send(scene, side)(Part(0, b"12345678", False))

    assert scene.elapsed == 0


@pytest.mark.parametrize("side", ["request", "answer"])
def test_a_part_that_differs_is_refused(side: str) -> None:
    scene = full(side, window=8)

    with pytest.raises(ConflictingBytes, match="^bytes at 0 differ from the stored ones$"):
        send(scene, side)(Part(0, b"1234567X", False))
