"""Upgrades: who wants one, and what a server made of it, however its bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import MalformedMessage, MessageTooLarge
from wire.headers import Headers
from wire.protocol import MAX_HEAD_BYTES
from wire.upgrades import (
    Answered,
    Switched,
    read_outcome,
    serialize_switch_head,
    upgrade_fields,
    wanted_protocols,
)

HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX-Two: 1\r\nx-two:\t2 \r\n\r\n"
FIELDS = Headers([("Upgrade", "websocket"), ("X-Two", "1"), ("x-two", "2")])


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ([("Connection", "Upgrade"), ("Upgrade", "websocket")], {"websocket"}),
        ([("connection", "keep-alive, UPGRADE"), ("upgrade", "WebSocket, h2c ,")], {"websocket", "h2c"}),
        ([("Connection", "keep-alive"), ("Upgrade", "websocket")], set()),
        ([("Connection", "Upgrade")], set()),
        (upgrade_fields("tunnel"), {"tunnel"}),
    ],
)
def test_a_message_wants_another_protocol_when_both_fields_say_so(
    fields: list[tuple[str, str]], wanted: set[str]
) -> None:
    assert wanted_protocols(Headers(fields)) == wanted


def test_a_101_ends_with_its_head_and_what_stands_behind_it_is_not_read() -> None:
    assert read_outcome(HEAD + b"\x81\x00\r\n\r\n") == Switched(FIELDS, b"\x81\x00\r\n\r\n")


@given(st.integers(0, len(HEAD) - 1))
def test_a_head_that_is_not_whole_yet_says_nothing(size: int) -> None:
    assert read_outcome(HEAD[:size]) is None


def test_interim_answers_are_skipped() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

    assert read_outcome(interim[:-1]) is None
    assert read_outcome(interim) is None
    assert read_outcome(interim + HEAD) == Switched(FIELDS, b"")
    assert read_outcome(interim + b"HTTP/1.1 403 \r\nA") == Answered(b"HTTP/1.1 403 \r\nA")


def test_any_other_answer_is_handed_back_from_its_first_byte() -> None:
    assert read_outcome(b"HTTP/1.0 404 Not Found\r\nContent-") == Answered(b"HTTP/1.0 404 Not Found\r\nContent-")


@pytest.mark.parametrize("field", [b"Content-Length: 0", b"transfer-encoding: chunked"])
def test_framing_means_nothing_in_a_101(field: bytes) -> None:
    assert read_outcome(b"HTTP/1.1 101 \r\n" + field + b"\r\nA: b\r\n\r\n") == Switched(Headers([("A", "b")]), b"")


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/2 101 X\r\n\r\n",
        b"HTTP/1.1 99 X\r\n\r\n",
        b"hello\r\n\r\n",
        b"HTTP/1.1 101 X\r\nA : b\r\n\r\n",
        b"HTTP/1.1 101 X\r\nA: b\r\n c\r\n\r\n",
        b"HTTP/1.1 101 X\r\nA: b\nC: d\r\n\r\n",
        b"HTTP/1.1 101 X\r\nA: \x00\r\n\r\n",
        b"HTTP/1.1 101 X\r\nno field\r\n\r\n",
    ],
)
def test_what_is_not_a_strict_head_is_refused(head: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read_outcome(head)


def test_a_head_has_a_limit_also_while_it_is_not_whole() -> None:
    fits = HEAD[:-2] + b"A: " + b"x" * (MAX_HEAD_BYTES - len(HEAD) - 5) + b"\r\n\r\n"

    assert len(fits) == MAX_HEAD_BYTES
    assert isinstance(read_outcome(fits), Switched)
    for head in (fits.replace(b"A: ", b"A: x"), b"x" * MAX_HEAD_BYTES, fits[:-4] + b"xxxx"):
        with pytest.raises(MessageTooLarge):
            read_outcome(head)


def test_a_written_head_is_read_again() -> None:
    assert read_outcome(serialize_switch_head(FIELDS) + b"!") == Switched(FIELDS, b"!")


def test_what_cannot_be_read_again_is_not_written() -> None:
    with pytest.raises(MalformedMessage):
        serialize_switch_head(Headers([("A", "b\r\nC: d")]))
    with pytest.raises(ValueError, match="framing"):
        serialize_switch_head(Headers([("content-length", "0")]))
