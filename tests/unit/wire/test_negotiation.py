import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import MalformedMessage, MessageTooLarge
from wire.negotiation import (
    ACCEPT,
    MAX_NAMES_LENGTH,
    MAX_RECEIPT_BYTES,
    Receipt,
    accepts_batches,
    batch_media_type,
    boundary_of,
    decode_names,
    decode_receipt,
    encode_names,
    encode_receipt,
    parse_capacity,
    parse_welcome,
)
from wire.protocol import RequestId

R1, R2, R3 = RequestId("r1"), RequestId("r2"), RequestId("r3")

names = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=30)


# Who speaks version 2


@pytest.mark.parametrize(
    "accept",
    [ACCEPT, "multipart/mixed", "Multipart/Mixed;q=0.1", "text/html , multipart/mixed ; q=1", "multipart/mixed;a=b"],
)
def test_who_names_batches_wants_them(accept: str) -> None:
    assert accepts_batches(accept)


@pytest.mark.parametrize(
    "accept",
    [
        *[None, "", "*/*", "multipart/*", "application/json", "xmultipart/mixed", "multipart/mixedx"],
        *["multipart/mixed;q=0", "multipart/mixed; q=0.000", "multipart/mixed;q=0."],
    ],
)
def test_nobody_else_does(accept: str | None) -> None:
    assert not accepts_batches(accept)


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (batch_media_type("b-1"), "b-1"),
        ("Multipart/MIXED;BOUNDARY=b", "b"),
        ('multipart/mixed\t; \tboundary="b"', "b"),
        ('multipart/mixed; boundary="a b=:/,?"', "a b=:/,?"),
        ("multipart/mixed; boundary=" + "x" * 70, "x" * 70),
        (None, None),
        ("", None),
        ("application/json", None),
        ("application/http; msgtype=response", None),
        ("text/plain; a=multipart/mixed", None),
    ],
)
def test_the_type_of_a_body_tells_its_boundary_if_it_is_a_batch(content_type: str | None, boundary: str | None) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        *["multipart/mixed", "multipart/mixed; boundary=", 'multipart/mixed; boundary=""', "multipart/mixed; a=b"],
        *["multipart/mixed; boundary=" + "x" * 71, "multipart/mixed; boundary=a b", 'multipart/mixed; boundary="b '],
        *[
            'multipart/mixed; boundary="b "',
            "multipart/mixed; boundary=b; charset=utf-8",
            "multipart/mixed; boundary=\xe9",
        ],
        *["multipart/mixed; boundary=b\n", 'multipart/mixed; boundary="a\\"b"'],
    ],
)
def test_a_batch_whose_boundary_is_not_plain_is_refused(content_type: str) -> None:
    with pytest.raises(MalformedMessage, match="^Content-Type: multipart/mixed without a boundary"):
        boundary_of(content_type)


# What a poll says


@pytest.mark.parametrize(
    ("text", "capacity"), [(None, 100), ("1", 1), ("99", 99), ("100", 100), ("101", 100), ("999999", 100)]
)
def test_a_capacity_is_a_count_within_bounds(text: str | None, capacity: int) -> None:
    assert parse_capacity(text, most=100) == capacity


@pytest.mark.parametrize("text", ["", "0", "-1", "+1", "01", "1.0", "1000000", " 1", "\xb2", "1\n"])
def test_anything_else_is_no_capacity(text: str) -> None:
    with pytest.raises(MalformedMessage, match="^X-Inverting-Proxy-Capacity: not a number from 1 to 999999$"):
        parse_capacity(text, most=100)


@given(st.frozensets(names, max_size=20))
def test_names_are_read_as_they_were_written(some: frozenset[str]) -> None:
    assert decode_names(encode_names(some), field="X") == some


def test_no_field_names_nothing() -> None:
    assert decode_names(None, field="X") == frozenset()


@pytest.mark.parametrize("text", [" ", "a  b", " a", "a ", "a\tb", "\xe9", "a" * 257])
def test_what_are_no_names_is_refused(text: str) -> None:
    with pytest.raises(MalformedMessage, match="^X-Lost: not names of visible ASCII characters"):
        decode_names(text, field="X-Lost")


def test_too_many_names_are_refused() -> None:
    assert len(decode_names("a " * (MAX_NAMES_LENGTH // 2 - 1) + "bb", field="X")) == 2
    with pytest.raises(MessageTooLarge, match="^X: over 4096 characters$") as caught:
        decode_names("a " * (MAX_NAMES_LENGTH // 2) + "b", field="X")
    assert caught.value.status_hint == 431


# Receipts


def test_a_receipt_is_json() -> None:
    raw = encode_receipt(Receipt((R1,), (R2,), {R3: "claimed-elsewhere"}))

    assert raw == b'{"delivered":["r1"],"unknown":["r2"],"refused":{"r3":"claimed-elsewhere"}}'


@given(st.lists(names, max_size=5), st.lists(names, max_size=5), st.dictionaries(names, names, max_size=5))
def test_a_receipt_is_read_as_it_was_written(delivered: list[str], unknown: list[str], refused: dict[str, str]) -> None:
    receipt = Receipt(
        tuple(RequestId(name) for name in delivered),
        tuple(RequestId(name) for name in unknown),
        {RequestId(name): reason for name, reason in refused.items()},
    )

    assert decode_receipt(encode_receipt(receipt)) == receipt


def test_a_receipt_may_lack_what_is_empty_and_have_what_is_new() -> None:
    assert decode_receipt(b'{"delivered": ["r1"], "later": 1}') == Receipt((R1,))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"\xff", "not JSON: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (b"[" * 5000, "not JSON: "),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"delivered": {}}', "delivered is not a list"),
        (b'{"delivered": [1]}', "delivered names what is not a request ID"),
        (b'{"unknown": ["a b"]}', "unknown names what is not a request ID"),
        (b'{"refused": []}', "refused is not an object of reasons"),
        (b'{"refused": {"r1": 1}}', "refused is not an object of reasons"),
        (b'{"refused": {"": "reason"}}', "refused names what is not a request ID"),
    ],
)
def test_anything_else_is_no_receipt(body: bytes, text: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        decode_receipt(body)

    assert str(caught.value).startswith(f"receipt of a batch: {text}")


def test_a_receipt_that_is_too_long_is_not_read() -> None:
    assert decode_receipt(json.dumps({"x": "y" * (MAX_RECEIPT_BYTES - 9)}).encode()) == Receipt()
    with pytest.raises(MessageTooLarge, match="^receipt of a batch: 65537 bytes, at most 65536 are read$"):
        decode_receipt(b" " * (MAX_RECEIPT_BYTES + 1))


@pytest.mark.parametrize(("text", "count"), [(None, 1), ("1", 1), ("16", 16), ("0", 1), ("many", 1), ("", 1)])
def test_a_proxy_that_does_not_say_how_many_it_takes_gets_one(text: str | None, count: int) -> None:
    assert parse_welcome(text) == count
