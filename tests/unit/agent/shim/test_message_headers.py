"""Header fields inside messages."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.shim.message_headers import canonical, with_headers

FIELDS = [("cookie", "a=b"), ("X-User", "ü"), ("x-user", "second")]


@pytest.mark.parametrize(
    "message",
    [
        "", "x", "[]", "1", "{}", '{"resource":1}', '{"resource":{}}', '{"resource":{"headers":[]}}', '{"headers":{}}',
        '{"resource":{"headers":{}}', b"\xff", b'{"resource":null}', "[" * 100_000, '{"a":{"resource":{"headers":{}}}}',
    ],
)  # fmt: skip
def test_messages_without_a_place_for_headers_stay_as_they_are(message: str | bytes) -> None:
    assert with_headers(message, FIELDS) == message


def test_the_rest_of_a_message_stays_to_the_byte() -> None:
    message = '{ "n":12345678901234567890.10,"e":"\\u00e4<" , "resource" : { "b":[1 ,2], "headers" : { } },"z":1e5}'
    changed = message.replace("{ }", '{"Cookie":"a=b","X-User":"\\u00fc" }')
    assert with_headers(message, FIELDS) == changed
    assert with_headers(message.encode(), FIELDS) == changed.encode()


def test_what_the_page_put_there_is_not_overwritten() -> None:
    changed = with_headers('{"resource":{"headers":{"Cookie":"mine"}}}', FIELDS)
    assert changed == '{"resource":{"headers":{"X-User":"\\u00fc","Cookie":"mine"}}}'
    assert with_headers(changed, FIELDS) == changed


def test_of_repeated_keys_the_last_counts() -> None:
    message = '{"resource":{"headers":{}},"resource":{"headers":1,"headers":{"a":{}}},"x":{"resource":{}}}'
    changed = with_headers(message, [("B", "1")])
    assert (
        changed == '{"resource":{"headers":{}},"resource":{"headers":1,"headers":{"B":"1","a":{}}},"x":{"resource":{}}}'
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=3), JSON, max_size=3),
    st.dictionaries(st.text(max_size=3), JSON, max_size=3),
    st.dictionaries(st.sampled_from(["Cookie", "A", "é"]), st.text(), max_size=3),
    st.sampled_from([None, 2]),
    st.booleans(),
)
def test_the_result_is_the_same_object_with_the_headers(
    top: dict[str, Any], resource: dict[str, Any], headers: dict[str, Any], indent: int | None, is_ascii: bool
) -> None:
    value = {**top, "resource": {**resource, "headers": headers}}
    changed = with_headers(json.dumps(value, indent=indent, ensure_ascii=is_ascii), FIELDS)
    expected = {**value, "resource": {**value["resource"], "headers": {"Cookie": "a=b", "X-User": "ü", **headers}}}
    assert json.loads(changed) == expected


@pytest.mark.parametrize(
    ("name", "known"),
    [("x-a", "X-A"), ("COOKIE", "Cookie"), ("Sec-CH-UA", "Sec-Ch-Ua"), ("x_a", "X_a"), ("ü-a", "ü-a")],
)
def test_names_are_written_as_go_writes_them(name: str, known: str) -> None:
    assert canonical(name) == known
