import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import protocol
from wire.errors import MalformedMessage, MessageTooLarge
from wire.headers import normalise
from wire.protocol import (
    MAX_PENDING_BYTES,
    RequestId,
    decode_pending,
    encode_pending,
    format_start_time,
    is_valid_backend_id,
    is_valid_request_id,
    parse_start_time,
    trace_of,
)

REQUEST_IDS = st.lists(st.from_regex(r"[!-~]{1,40}", fullmatch=True).map(RequestId), max_size=20)


@pytest.mark.parametrize("backend_id", ["a", "7", "notebook-1", "A.b_c~d@e:f+g=h,i-j", "x" * 256])
def test_a_backend_id_is_a_segment_of_a_url(backend_id: str) -> None:
    assert is_valid_backend_id(backend_id)


@pytest.mark.parametrize(
    "backend_id",
    [
        "",
        ".",
        "..",
        "-a",
        "_a",
        "a/b",
        "a b",
        "a%2Fb",
        "a?b",
        "a#b",
        "a\n",
        "a\x00",
        "\xf6",
        "\u0661",
        "x" * 257,
        "a'b",
    ],
)
def test_what_a_url_or_a_shell_would_change_is_no_backend_id(backend_id: str) -> None:
    assert not is_valid_backend_id(backend_id)


@pytest.mark.parametrize("request_id", ["a", "!", "~", "5d41402a-bc4b", '"quoted"', "x" * 256])
def test_a_request_id_is_visible_ascii(request_id: str) -> None:
    assert is_valid_request_id(request_id)


@pytest.mark.parametrize("request_id", ["", " ", "a b", "a\n", "a\r\nX: y", "\x00", "\x7f", "\xf6", "x" * 257])
def test_what_a_header_could_not_carry_is_no_request_id(request_id: str) -> None:
    assert not is_valid_request_id(request_id)


@pytest.mark.parametrize(
    "name", ["BACKEND_ID", "REQUEST_ID", "USER_ID", "START_TIME", "VM_ID", "AGENT_ID", "ERROR", "TRACE_ID"]
)
def test_each_of_our_fields_begins_with_the_owned_prefix(name: str) -> None:
    assert normalise(getattr(protocol, name)).startswith(protocol.OWNED_PREFIX)


def test_a_trace_is_a_short_prefix_of_the_id() -> None:
    assert trace_of("0123456789abcdefghijkl") == "01234567"


@given(REQUEST_IDS)
def test_a_list_of_pending_requests_comes_back_as_it_went(request_ids: list[RequestId]) -> None:
    assert decode_pending(encode_pending(request_ids)) == request_ids


def test_an_empty_list_is_written_as_the_original_writes_it() -> None:
    assert encode_pending([]) == b"[]"


@pytest.mark.parametrize("body", [b"null", b" null\n", b"[]", b"[ ]"])
def test_no_work_is_an_empty_list(body: bytes) -> None:
    assert decode_pending(body) == []


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "list of pending requests: not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b'["a"', "list of pending requests: not JSON: Expecting ',' delimiter: line 1 column 5 (char 4)"),
        (b"[" * 100_000, "list of pending requests: not JSON: "),
        (b"\xff\xff", "list of pending requests: not JSON: "),
        (b'"a"', "list of pending requests: not a JSON list"),
        (b'{"a": 1}', "list of pending requests: not a JSON list"),
        (b"false", "list of pending requests: not a JSON list"),
        (b"[1]", "list of pending requests: an item is not a request ID"),
        (b"[null]", "list of pending requests: an item is not a request ID"),
        (b'["a", ""]', "list of pending requests: an item is not a request ID"),
        (b'["a b"]', "list of pending requests: an item is not a request ID"),
        (b'["\\ud800"]', "list of pending requests: an item is not a request ID"),
        (b'["a\\r\\nX: y"]', "list of pending requests: an item is not a request ID"),
    ],
)
def test_anything_else_is_malformed(body: bytes, text: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        decode_pending(body)

    assert str(caught.value).startswith(text)


@given(st.binary(max_size=60) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_whatever_a_poll_answers_there_are_ids_or_an_error(body: bytes | str) -> None:
    raw = body.encode() if isinstance(body, str) else body
    try:
        request_ids = decode_pending(raw)
    except MalformedMessage:
        return

    assert all(is_valid_request_id(request_id) for request_id in request_ids)


def test_a_list_of_the_longest_size_is_read() -> None:
    assert decode_pending(b"[]".ljust(MAX_PENDING_BYTES)) == []


def test_a_longer_list_is_too_large() -> None:
    with pytest.raises(MessageTooLarge) as caught:
        decode_pending(b"[]".ljust(MAX_PENDING_BYTES + 1))

    assert str(caught.value) == "list of pending requests: 1048577 bytes, at most 1048576 are read"


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_start_time_comes_back_as_it_went(moment: datetime) -> None:
    assert parse_start_time(format_start_time(moment)) == moment


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 5, 17, 12, tzinfo=UTC), "2026-05-17T12:00:00.000000Z"),
        (datetime(26, 5, 17, 12, 0, 0, 1, tzinfo=UTC), "0026-05-17T12:00:00.000001Z"),
        (datetime(2026, 5, 17, 1, tzinfo=timezone(timedelta(hours=2))), "2026-05-16T23:00:00.000000Z"),
    ],
)
def test_a_start_time_is_written_in_utc_with_microseconds(moment: datetime, text: str) -> None:
    assert format_start_time(moment) == text


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-05-17T12:00:00Z", datetime(2026, 5, 17, 12, tzinfo=UTC)),
        ("2026-05-17t12:00:00z", datetime(2026, 5, 17, 12, tzinfo=UTC)),
        ("2026-05-17T12:00:00.5Z", datetime(2026, 5, 17, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-05-17T12:00:00.123456789Z", datetime(2026, 5, 17, 12, 0, 0, 123_456, tzinfo=UTC)),
        ("2026-05-17T12:00:00.999999999+02:00", datetime(2026, 5, 17, 10, 0, 0, 999_999, tzinfo=UTC)),
        ("2026-05-17T12:00:00-07:30", datetime(2026, 5, 17, 19, 30, tzinfo=UTC)),
    ],
)
def test_what_go_writes_is_read(text: str, moment: datetime) -> None:
    assert parse_start_time(text) == moment


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-05-17", "2026-05-17T12:00:00", "2026-05-17 12:00:00Z", "2026-05-17T12:00:00.Z"]
    + ["2026-05-17T12:00:00.1234567890Z", "2026-05-17T12:00:00Z ", "\u0662026-05-17T12:00:00Z"],
)
def test_another_form_is_malformed(text: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse_start_time(text)

    assert str(caught.value) == "X-Inverting-Proxy-Request-Start-Time: not an RFC 3339 time"


@pytest.mark.parametrize(
    "text",
    ["2026-02-30T12:00:00Z", "2026-13-01T12:00:00Z", "2026-05-17T12:60:00Z", "0000-01-01T00:00:00Z"]
    + ["2026-05-17T12:00:00+24:00", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"],
)
def test_a_time_that_does_not_exist_is_malformed(text: str) -> None:
    with pytest.raises(MalformedMessage, match=r"^X-Inverting-Proxy-Request-Start-Time: [a-z]"):
        parse_start_time(text)


@given(st.text(max_size=40) | st.from_regex(protocol._TIME, fullmatch=True))
def test_whatever_text_comes_there_is_an_aware_time_or_an_error(text: str) -> None:
    try:
        moment = parse_start_time(text)
    except MalformedMessage:
        return

    assert moment.tzinfo is UTC
