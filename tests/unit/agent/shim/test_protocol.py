"""The messages of the shim's POSTs."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.shim import protocol
from agent.shim.protocol import LOST, BadRequest, Batch, CloseRequest, PollRequest

ANY_TEXT = st.text(st.characters(exclude_categories=()))
SCALAR_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


@given(st.lists(SCALAR_TEXT | st.binary()))
def test_version_1_carries_every_message_to_the_page(messages: list[str | bytes]) -> None:
    listed = json.loads(protocol.encode_messages(messages, version=1))
    assert [each if isinstance(each, str) else base64.b64decode(each[0]) for each in listed] == messages


@given(st.lists(SCALAR_TEXT | st.binary(), max_size=20))
def test_version_1_carries_every_message_from_the_page(messages: list[str | bytes]) -> None:
    items = [each if isinstance(each, str) else [base64.b64encode(each).decode()] for each in messages]
    batch = protocol.parse_data(encoded([{"id": "a", "msg": item} for item in items]))
    assert protocol.decode_messages(batch.items, version=1) == messages


@given(SCALAR_TEXT)
def test_version_0_carries_binary_messages_that_are_text(text: str) -> None:
    assert protocol.decode_messages([[text]], version=0) == [text.encode()]
    assert json.loads(protocol.encode_messages([text.encode()], version=0)) == [[text]]


@given(st.binary())
def test_version_0_replaces_what_is_no_text(data: bytes) -> None:
    assert json.loads(protocol.encode_messages([data], version=0)) == [[data.decode(errors="replace")]]


@given(ANY_TEXT, st.sampled_from([0, 1]))
def test_any_text_in_escapes_becomes_text_that_can_be_sent(text: str, version: int) -> None:
    batch = protocol.parse_data(encoded([{"id": "a", "msg": text}]))
    [message] = protocol.decode_messages(batch.items, version=version)
    assert isinstance(message, str)
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert message.encode().decode() == message
    assert len(message) == len(whole)


def test_lone_surrogates_are_replaced_and_pairs_are_joined() -> None:
    body = b'[{"id":"a","msg":"\\ud83d\\ude00 \\ud83d \\ude00"}]'
    assert protocol.decode_messages(protocol.parse_data(body).items, version=1) == ["\U0001f600 \ufffd \ufffd"]


@given(st.binary())
def test_any_body_is_understood_or_refused(body: bytes) -> None:
    for parse in (protocol.parse_data, protocol.parse_poll, protocol.parse_close, protocol.parse_target):
        try:
            parse(body)
        except BadRequest:
            continue


KEYS = st.sampled_from(["id", "msg", "n", "ack", "code"])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | ANY_TEXT,
        lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
    )
)
def test_any_json_is_understood_or_refused(value: object) -> None:
    for parse in (protocol.parse_data, protocol.parse_poll, protocol.parse_close):
        try:
            parse(encoded(value))
        except BadRequest:
            continue


def test_messages_may_have_numbers() -> None:
    body = encoded([{"id": "a", "msg": "x", "n": 7}, {"id": "a", "msg": ["eA=="], "n": 8}])
    assert protocol.parse_data(body) == Batch("a", ("x", ["eA=="]), 7)


@pytest.mark.parametrize("body", [b"[]", b"null"])
def test_no_messages_are_allowed(body: bytes) -> None:
    assert protocol.parse_data(body).items == ()


@pytest.mark.parametrize(
    "entries",
    [
        [{"id": "a"}], [{"msg": "x"}], [{"id": 1, "msg": "x"}], [{"id": "", "msg": "x"}],
        [{"id": "a" * 257, "msg": ""}],
        [{"id": "a", "msg": 1}], [{"id": "a", "msg": []}], [{"id": "a", "msg": ["x", "y"]}], [{"id": "a", "msg": [1]}],
        [{"id": "a", "msg": {}}], ["x"], {"id": "a", "msg": "x"}, "x",
        [{"id": "a", "msg": "x"}, {"id": "b", "msg": "x"}],
        [{"id": "a", "msg": "x", "n": 0}, {"id": "a", "msg": "x"}],
        [{"id": "a", "msg": "x"}, {"id": "a", "msg": "x", "n": 1}],
        [{"id": "a", "msg": "x", "n": 0}, {"id": "a", "msg": "x", "n": 2}],
        [{"id": "a", "msg": "x", "n": -1}], [{"id": "a", "msg": "x", "n": True}], [{"id": "a", "msg": "x", "n": 1.5}],
        [{"id": "a", "msg": "x"}] * 1001,
    ],
)  # fmt: skip
def test_malformed_lists_are_refused(entries: object) -> None:
    with pytest.raises(BadRequest):
        protocol.parse_data(encoded(entries))


@pytest.mark.parametrize("body", [b'[{"id":"a","msg":NaN}]', b"[" * 100_000, b"\xff", b"", b"{", b"[1" + b"1" * 5000])
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        protocol.parse_data(body)


@pytest.mark.parametrize("text", ["x", "====", "YQ", "Y Q==", "é", "YQ==\n"])
def test_what_is_not_base64_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        protocol.decode_messages([[text]], version=1)


@pytest.mark.parametrize(
    ("field", "version"), [(None, 0), ("", 0), ("0", 0), ("1", 1), ("2", 1), ("-1", 0), ("x", 0), ("01", 1), ("1e9", 0)]
)
def test_the_version_is_one_of_ours(field: str | None, version: int) -> None:
    assert protocol.parse_version(field) == version


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("ws://host/a?b", "/a?b"), ("wss://host:80/a", "/a"), ("http://host", "/"), ("/a?b=//c", "/a?b=//c"),
        ("ws://host?x=1", "/?x=1"), ("ws://host/a?", "/a?"), ("ws://host//a//b", "//a//b"), ("//host/a", "/a"),
        ("ws://[::1]:80/%2e%2E/x", "/%2e%2E/x"), ("ws://host/ü", "/%C3%BC"), ("ws://host/a#b", "/a"),
        ("WS://host/a", "/a"),
        ("ws://host/a?u=http://x/#y", "/a?u=http://x/"), ('/a"<>{}|^`', '/a"<>{}|^`'),
    ],
)  # fmt: skip
def test_only_path_and_query_of_a_url_count(url: str, target: str) -> None:
    assert protocol.parse_target(url.encode()) == target


@pytest.mark.parametrize(
    "url", ["", "a", "a/b", "ws:host", "ws:/a", "file:///etc", "ws://u:p@host/", "/a b", "/a\r\nX: 1",
        "ws://[x/", "/\\x",
            "javascript:1", "?a", "//user@host/", "/" * 8193],
)  # fmt: skip
def test_misleading_urls_are_refused(url: str) -> None:
    with pytest.raises(BadRequest):
        protocol.parse_target(url.encode())


def test_subprotocols_keep_their_order() -> None:
    assert protocol.parse_protocols(" b, a ,v1.kernel") == ("b", "a", "v1.kernel")
    assert protocol.parse_protocols(None) == ()


@pytest.mark.parametrize("field", ["a b", "a,a", "ü", ",".join(f"p{number}" for number in range(65))])
def test_subprotocols_that_cannot_be_offered_are_refused(field: str) -> None:
    with pytest.raises(BadRequest):
        protocol.parse_protocols(field)


def test_an_opened_websocket_is_described() -> None:
    plain = protocol.encode_opened("i", target="/a", version=0, protocol="")
    rich = protocol.encode_opened("i", target="/a", version=1, protocol="chat")
    assert json.loads(plain) == {"id": "i", "msg": "ws://backend/a", "ack": True}
    assert json.loads(rich) == {"id": "i", "msg": "ws://backend/a", "v": 1, "s": "chat", "ack": True}


@pytest.mark.parametrize(("ack", "read"), [(None, None), (0, 0), (7, 7)])
def test_a_poll_may_confirm(ack: int | None, read: int | None) -> None:
    assert protocol.parse_poll(encoded({"id": "a", "ack": ack})) == PollRequest("a", read)


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        ({}, CloseRequest("a", None, "", None)),
        ({"code": None, "reason": None, "n": None}, CloseRequest("a", None, "", None)),
        ({"code": 1000}, CloseRequest("a", 1000, "", None)),
        ({"code": 1001, "n": 0}, CloseRequest("a", 1001, "", 0)),
        ({"n": 18}, CloseRequest("a", None, "", 18)),
        ({"code": 4999, "reason": "ü" * 61}, CloseRequest("a", 4999, "ü" * 61, None)),
        ({"code": 3000, "reason": "\ud800"}, CloseRequest("a", 3000, "\ufffd", None)),
    ],
)
def test_a_close_may_have_code_and_reason(fields: dict[str, object], read: CloseRequest) -> None:
    assert protocol.parse_close(encoded({"id": "a", **fields})) == read


@pytest.mark.parametrize(
    "fields",
    [{"code": code} for code in (999, 1002, 1005, 1006, 2999, 5000, True, "1000", 1000.0)]
    + [{"reason": "x"}, {"code": 1000, "reason": "ü" * 62}, {"code": 1000, "reason": 1}]
    + [{"n": n} for n in (-1, "1", 1.0, True, 1 << 53)],
)
def test_a_close_that_no_browser_would_send_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        protocol.parse_close(encoded({"id": "a", **fields}))


def test_an_error_says_what_is_known() -> None:
    assert json.loads(protocol.encode_error("x")) == {"error": "x"}
    assert json.loads(protocol.encode_error("x", closing=LOST, status=403, taken=0)) == {
        "error": "x", "code": 1006, "reason": "", "clean": False, "status": 403, "taken": 0
    }  # fmt: skip


@pytest.mark.parametrize("text", ["shim", "/shim", "shim/", "//shim//", "./shim"])
def test_the_path_has_one_form(text: str) -> None:
    assert protocol.shim_prefix(text) == "/shim/"


@pytest.mark.parametrize("text", ["", "/", "a/../b", "a b", "a?b", "a#b", "ü"])
def test_a_path_that_cannot_be_used_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="segment"):
        protocol.shim_prefix(text)
