"""The bodies of the shim's calls, both ways."""

import json

import pytest

from standalone.websockets.shim.messages import (
    LOST,
    BadShim,
    Ending,
    Message,
    Opened,
    encode_close,
    encode_data,
    encode_poll,
    parse_ending,
    parse_messages,
    parse_opened,
)

OURS = Opened("s1", "", True)
ORIGINAL = Opened("1", "", False)


def test_an_answer_to_open_says_which_session_and_whether_messages_are_numbered() -> None:
    assert parse_opened(b'{"id": "s1", "msg": "ws://x/", "v": 1, "s": "chat", "ack": true}') == Opened(
        "s1", "chat", True
    )
    assert parse_opened(b'{"id": "1", "msg": "ws://x/"}') == ORIGINAL


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id": 1}', b'{"id": ""}', b'{"id": "1", "s": 2}', b"\xff"])
def test_what_is_no_answer_to_open_is_refused(body: bytes) -> None:
    with pytest.raises(BadShim):
        parse_opened(body)


def test_messages_are_numbered_for_those_who_know_of_it() -> None:
    messages: list[Message] = ["grün", b"\x00\xff"]

    assert json.loads(encode_data(OURS, messages, first=7)) == [
        {"id": "s1", "msg": "grün", "n": 7},
        {"id": "s1", "msg": ["AP8="], "n": 8},
    ]
    assert json.loads(encode_data(ORIGINAL, messages, first=7)) == [
        {"id": "1", "msg": "grün"},
        {"id": "1", "msg": ["AP8="]},
    ]
    assert json.loads(encode_poll(OURS, received=3)) == {"id": "s1", "ack": 3}
    assert json.loads(encode_poll(ORIGINAL, received=3)) == {"id": "1"}


def test_a_close_has_a_code_that_a_page_may_send() -> None:
    assert json.loads(encode_close(OURS, Ending(3000, "done"), sent=4)) == {
        "id": "s1", "n": 4, "code": 3000, "reason": "done",
    }  # fmt: skip
    for code in (1002, 1005, 1006, 5000):
        assert json.loads(encode_close(OURS, Ending(code, "x"), sent=4)) == {"id": "s1", "n": 4}
    assert json.loads(encode_close(ORIGINAL, Ending(3000, "done"), sent=4)) == {"id": "1"}


def test_a_poll_brings_texts_and_bytes() -> None:
    assert parse_messages(b'["a", ["AP8="], ""]') == ["a", b"\x00\xff", ""]


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"[[]]", b'[["a", "b"]]', b'[["!"]]', b"[[[1]]]"])
def test_what_is_no_list_of_messages_is_refused(body: bytes) -> None:
    with pytest.raises(BadShim):
        parse_messages(body)


def test_the_end_is_told_in_json_or_by_the_status_alone() -> None:
    assert parse_ending(b'{"error": "x", "code": 3000, "reason": "done", "clean": true}') == Ending(3000, "done")
    assert parse_ending(b'{"error": "x", "code": 1006}') == LOST
    assert parse_ending(b"websocket error: closed\n") == LOST
    assert parse_ending(b'{"error": "malformed"}') is None
