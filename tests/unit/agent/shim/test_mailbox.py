"""What a backend sent and a page has not confirmed yet."""

import threading

import pytest

from agent.shim.mailbox import ANSWER_BYTES, Finished, Mailbox, Taken
from agent.shim.protocol import LOST, BadRequest, Closing, Message
from tests.timing import SECOND

DONE = Closing(1000, "done", clean=True)


class Box(Mailbox):
    """A mailbox that counts how often it was told that there is room."""

    def __init__(self, *messages: Message, max_messages: int = 10, max_bytes: int = 10_000) -> None:
        self.rooms = 0
        super().__init__(max_messages=max_messages, max_bytes=max_bytes, on_room=self.count)
        for message in messages:
            self.put(message)

    def count(self) -> None:
        self.rooms += 1

    def now(self, ack: int | None) -> Taken | None:
        return self.take(ack, timeout=0)


def messages_of(taken: Taken | None) -> list[Message]:
    return list(taken.messages) if taken else []


def test_what_is_not_confirmed_is_given_again() -> None:
    box = Box("a", b"b")
    given = [messages_of(box.now(ack)) for ack in (0, 0, 1, 2)]
    box.put("c")
    assert [*given, messages_of(box.now(2))] == [["a", b"b"], ["a", b"b"], [b"b"], [], ["c"]]


def test_a_number_that_never_was_is_refused() -> None:
    with pytest.raises(BadRequest):
        Box("a").now(2)


def test_an_old_number_gives_what_is_there() -> None:
    box = Box("a", "b")
    box.now(1)
    assert messages_of(box.now(0)) == ["b"]


def test_without_numbers_messages_are_gone_once_handed_on() -> None:
    box = Box("a")
    taken = box.now(None)
    assert taken is not None
    box.put("b")
    assert box.now(None) is None
    taken.handed_on()
    taken.given_up()
    assert messages_of(box.now(None)) == ["b"]


def test_without_numbers_messages_of_an_answer_that_was_given_up_are_given_again() -> None:
    box = Box("a")
    taken = box.now(None)
    assert taken is not None
    taken.given_up()
    again = box.now(None)
    taken.handed_on()
    assert messages_of(again) == ["a"]


def test_a_late_settling_does_not_touch_a_newer_answer() -> None:
    box = Box("a")
    first = box.now(None)
    assert first is not None
    first.handed_on()
    box.put("b")
    second = box.now(None)
    first.given_up()
    assert (messages_of(second), box.now(None)) == (["b"], None)


def test_the_end_comes_after_all_messages_and_stays() -> None:
    box = Box("a")
    box.finish(DONE)
    box.finish(LOST)
    box.put("late")
    assert messages_of(box.now(0)) == ["a"]
    for _ in range(2):
        with pytest.raises(Finished) as caught:
            box.now(1)
        assert caught.value.closing == DONE


def test_the_end_waits_for_an_answer_on_its_way() -> None:
    box = Box("a")
    taken = box.now(None)
    assert taken is not None
    box.finish(DONE)
    assert box.now(None) is None
    taken.handed_on()
    with pytest.raises(Finished):
        box.now(None)


def test_a_page_that_closes_gets_nothing_more_but_the_end() -> None:
    box = Box("a", max_messages=1)
    box.shut()
    box.put("b")
    assert (box.now(0), box.is_full, box.rooms) == (None, False, 1)
    box.finish(DONE)
    with pytest.raises(Finished):
        box.now(None)


@pytest.mark.parametrize(("limits", "count"), [({"max_messages": 3}, 3), ({"max_bytes": 300}, 3)])
def test_it_is_full_at_its_limits_and_says_when_it_is_not(limits: dict[str, int], count: int) -> None:
    box = Box(*["x" * 40] * (count - 1), **limits)
    before = box.is_full
    box.put("x" * 40)
    assert (before, box.is_full) == (False, True)
    box.now(0)
    assert box.rooms == 0
    box.now(1)
    assert (box.rooms, box.is_full) == (1, False)


def test_room_made_by_handing_on_is_told_too() -> None:
    box = Box("a", max_messages=1)
    taken = box.now(None)
    assert taken is not None
    taken.handed_on()
    assert box.rooms == 1


def test_an_answer_has_a_limit_but_always_a_message() -> None:
    large = "x" * ANSWER_BYTES
    box = Box(large, large, "small")
    assert [len(messages_of(box.now(ack))) for ack in (0, 1)] == [1, 1]
    assert messages_of(box.now(2)) == ["small"]


def test_a_message_ends_the_wait() -> None:
    box = Box()
    threading.Timer(0.01, lambda: box.put("a")).start()
    assert messages_of(box.take(0, timeout=20 * SECOND)) == ["a"]


@pytest.mark.parametrize("ack", [0, None])
def test_a_newer_take_ends_an_older_one(ack: int | None) -> None:
    box = Box()
    found: list[Taken | None] = []
    older = threading.Thread(target=lambda: found.append(box.take(ack, timeout=60 * SECOND)))
    older.start()
    while older.is_alive():
        newer = box.now(ack)
        older.join(0.01)
    assert (newer, found) == (None, [None])


def test_a_wait_can_be_interrupted() -> None:
    box = Box()
    found: list[Taken | None] = []
    waiting = threading.Thread(target=lambda: found.append(box.take(0, timeout=60 * SECOND)))
    waiting.start()
    while waiting.is_alive():
        box.interrupt()
        waiting.join(0.01)
    assert found == [None]
