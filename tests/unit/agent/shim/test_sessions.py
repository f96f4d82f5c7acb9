"""The table of open websockets."""

from datetime import timedelta

import pytest

from agent.shim.mailbox import Mailbox
from agent.shim.protocol import LOST, Closing, Message
from agent.shim.sessions import Session, Sessions, TooManySessions
from agent.telemetry.observer import UNOBSERVED, Observer
from agent.telemetry.record import BackendRecord


class FakeWebsocket:
    """As much of a connection as the table looks at."""

    is_over = False

    def __init__(self) -> None:
        self.mailbox = Mailbox(max_messages=1, max_bytes=1, on_room=lambda: None)

    def send(self, messages: list[Message], *, timeout: float) -> int:
        raise AssertionError

    def close(self, code: int | None, reason: str, *, told: Closing | None = None) -> None:
        raise AssertionError


def a_table(*, most: int = 10, most_each: int = 10, observer: Observer = UNOBSERVED) -> Sessions:
    return Sessions(most=most, most_each=most_each, idle_limit=timedelta(seconds=100), observer=observer)


def opened(table: Sessions, user: str = "a", *, now: float = 0.0) -> Session:
    table.reserve(user)
    return table.add(FakeWebsocket(), user_id=user, version=1, target="/", now=now)


def test_a_session_is_known_to_its_user_alone() -> None:
    table = a_table()
    session = opened(table)
    assert table.find(session.session_id, "a", now=1.0) is session
    assert [table.find(session.session_id, user, now=1.0) for user in ("b", "", "A")] == [None] * 3
    assert table.find("1", "a", now=1.0) is None


def test_ids_are_long_and_differ() -> None:
    table = a_table()
    ids = {opened(table).session_id for _ in range(10)}
    assert (len(ids), all(len(session_id) >= 22 for session_id in ids)) == (10, True)


def test_a_stranger_does_not_keep_a_session_alive() -> None:
    table = a_table()
    session = opened(table)
    table.find(session.session_id, "b", now=99.0)
    assert table.sweep(now=100.0) == [session]


def test_use_keeps_a_session_alive() -> None:
    table = a_table()
    session = opened(table)
    table.find(session.session_id, "a", now=60.0)
    assert (table.sweep(now=159.0), table.sweep(now=160.0)) == ([], [session])


def test_a_poll_that_waits_is_use() -> None:
    table = a_table()
    session = opened(table)
    table.begin_poll(session)
    assert table.sweep(now=1000.0) == []
    table.end_poll(session, now=1000.0)
    assert (table.sweep(now=1099.0), table.sweep(now=1100.0)) == ([], [session])


def test_an_ended_one_makes_room_at_once_and_is_forgotten_after_a_while() -> None:
    table = a_table(most=1)
    session = opened(table)
    session.websocket.mailbox.finish(LOST)
    assert len(table) == 0
    opened(table)
    assert table.sweep(now=10.0) == []
    assert table.find(session.session_id, "a", now=60.0) is session
    table.sweep(now=70.0)
    assert table.find(session.session_id, "a", now=70.0) is None


def test_an_ended_one_is_kept_while_a_poll_is_answered() -> None:
    table = a_table()
    session = opened(table)
    session.websocket.mailbox.finish(LOST)
    table.sweep(now=0.0)
    table.begin_poll(session)
    table.sweep(now=1000.0)
    assert table.everything() == [session]


def test_there_is_a_limit_for_all_and_one_for_each() -> None:
    table = a_table(most=3, most_each=2)
    opened(table, "a")
    table.reserve("a")
    with pytest.raises(TooManySessions, match="you have 2"):
        table.reserve("a")
    opened(table, "b")
    with pytest.raises(TooManySessions, match="agent has 3"):
        table.reserve("c")
    table.give_back("a")
    table.reserve("c")


def test_those_that_nobody_knows_share_the_limit_for_all() -> None:
    table = a_table(most=3, most_each=1)
    for _ in range(3):
        opened(table, "")
    with pytest.raises(TooManySessions, match="agent has 3"):
        table.reserve("")


def test_the_table_stays_small_however_fast_they_come_and_go() -> None:
    table = a_table(most=2)
    first = opened(table)
    for _ in range(50):
        opened(table).websocket.mailbox.finish(LOST)
    assert (len(table.everything()), first in table.everything()) == (8, True)


def test_an_operator_sees_how_many_are_open() -> None:
    record = BackendRecord("notebook", now=lambda: 0.0)
    table = a_table(observer=record)
    first, second = opened(table), opened(table)
    first.websocket.mailbox.finish(LOST)
    first.websocket.mailbox.finish(LOST)
    halfway = record.snapshot()
    second.websocket.mailbox.finish(LOST)
    assert (halfway.shim_open, halfway.shim_opened, record.snapshot().shim_open) == (1, 2, 0)


def test_one_that_has_ended_before_it_stands_in_the_table_is_not_counted_as_open() -> None:
    record = BackendRecord("notebook", now=lambda: 0.0)
    table, websocket = a_table(observer=record), FakeWebsocket()
    websocket.mailbox.finish(LOST)
    table.reserve("a")
    table.add(websocket, user_id="a", version=1, target="/", now=0.0)
    assert (record.snapshot().shim_open, record.snapshot().shim_opened) == (0, 1)
