"""Header fields inside messages."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.shim.message_headers import canonical, with_headers
from agent.shim.protocol import BadRequest

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


OURS = [("X-Inverting-Proxy-User-ID", "alice@x")]


@pytest.mark.parametrize(
    "name",
    [
        "X-Inverting-Proxy-User-Id", "x-inverting-proxy-user-id", "X_Inverting_Proxy_User_ID", "X-INVERTING-PROXY-new",
        "\\u0078-inverting\\u002dproxy-user-id",
    ],
)  # fmt: skip
def test_what_the_page_puts_there_in_our_name_is_taken_out(name: str) -> None:
    message = f'{{ "resource":{{"headers":{{"a":1.0, "{name}":"root@x" ,"b" : "\\u0041"}} }},"z":1e5}}'
    assert (
        with_headers(message, OURS)
        == '{ "resource":{"headers":{"X-Inverting-Proxy-User-Id":"alice@x","a":1.0,"b" : "\\u0041"} },"z":1e5}'
    )
    assert with_headers(message.encode(), []) == b'{ "resource":{"headers":{"a":1.0,"b" : "\\u0041"} },"z":1e5}'


def test_nothing_of_the_pages_is_left_beside_ours() -> None:
    message = '{"resource":{"headers":{"X-Inverting-Proxy-User-Id":"root@x","x-inverting-proxy-user-id":"root2"}}}'
    assert with_headers(message, OURS) == '{"resource":{"headers":{"X-Inverting-Proxy-User-Id":"alice@x"}}}'
    assert with_headers(message, []) == '{"resource":{"headers":{}}}'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"resource":{"headers":{"x-inverting-proxy-a":"1"}},', '"resource":{"headers":{}},'),
        ('"resource":{"headers":{"x-inverting-proxy-a":"1"},"headers":0},', '"resource":{"headers":{},"headers":0},'),
    ],
)
def test_it_is_taken_out_also_of_what_only_readers_of_the_first_of_repeated_keys_see(before: str, after: str) -> None:
    last = '"resource":{"headers":{"b":1}}'
    assert with_headers(f"{{{before}{last}}}", []) == f"{{{after}{last}}}"
    assert with_headers(f'{{{before}"resource":0}}', OURS) == f'{{{after}"resource":0}}'


def test_numbers_of_any_length_hide_nothing() -> None:
    digits = "1" * 10_000
    message = f'{{"n":{digits},"resource":{{"headers":{{"x-inverting-proxy-a":"1"}}}}}}'
    assert with_headers(message, []) == f'{{"n":{digits},"resource":{{"headers":{{}}}}}}'


def test_an_object_too_deep_to_be_looked_through_is_refused() -> None:
    deep = f"{'[' * 200_000}{']' * 200_000}"
    with pytest.raises(BadRequest, match="deep"):
        with_headers(f' {{"resource":{{"headers":{{"x-inverting-proxy-a":"1"}}}},"x":{deep}}}', OURS)


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
