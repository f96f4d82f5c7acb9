"""Every vector of a batch, both ways, however its bytes are cut; and what no vector can hold."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors.reading import Vector, read_vectors
from wire import errors
from wire.batches import ANSWERS, REQUESTS, BatchParser, Entry, encode_end, encode_entry
from wire.errors import MalformedMessage, MessageTooLarge
from wire.headers import Headers
from wire.protocol import (
    MAX_BATCH_BYTES,
    MAX_ENTRY_BYTES,
    REQUEST_ID,
    REQUEST_MEDIA_TYPE,
    RESPONSE_MEDIA_TYPE,
    TO_FETCH_MEDIA_TYPE,
)

GOOD = read_vectors("batch")
BAD = read_vectors("bad_batch")
SIZES = [1, 2, 3, 7, 64, 1 << 30]

visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
boundaries = st.text("0123456789abcxyzABCXYZ-_.", min_size=1, max_size=70)


def answer(message: bytes, request_id: str = "r1", *fields: tuple[str, str]) -> Entry:
    return Entry(Headers([("Content-Type", RESPONSE_MEDIA_TYPE), (REQUEST_ID, request_id), *fields]), message)


answers = st.builds(lambda message, request_id: answer(message, request_id), st.binary(max_size=300), visible)


def cut(raw: bytes, size: int) -> list[bytes]:
    return [raw[start : start + size] for start in range(0, len(raw), size)]


def parse(pieces: Iterable[bytes], *, boundary: str = "b", kinds: frozenset[str] = ANSWERS) -> list[Entry]:
    parser = BatchParser(boundary, kinds)
    entries = [entry for piece in pieces for entry in parser.feed(piece)]
    parser.close()
    return entries


def parse_vector(vector: Vector, pieces: Iterable[bytes]) -> list[Entry]:
    kinds = REQUESTS if vector.expected["of"] == "requests" else ANSWERS
    return parse(pieces, boundary=vector.expected["boundary"], kinds=kinds)


def serialize(entries: Iterable[Entry], boundary: str = "b") -> bytes:
    return b"".join(encode_entry(boundary, entry) for entry in entries) + encode_end(boundary)


# The vectors


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("vector", GOOD, ids=str)
def test_a_good_batch_says_what_it_should(vector: Vector, size: int) -> None:
    assert parse_vector(vector, cut(vector.raw, size)) == vector.entries()


@pytest.mark.parametrize("vector", [vector for vector in GOOD if len(vector.raw) < 1000], ids=str)
def test_a_good_batch_may_be_cut_in_two_anywhere(vector: Vector) -> None:
    for end in range(len(vector.raw)):
        assert parse_vector(vector, [vector.raw[:end], vector.raw[end:]]) == vector.entries()


@given(data=st.data(), vector=st.sampled_from(GOOD))
def test_a_good_batch_says_the_same_however_it_is_cut(data: st.DataObject, vector: Vector) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(vector.raw)), max_size=12)))
    bounds = [0, *cuts, len(vector.raw)]

    pieces = [vector.raw[start:end] for start, end in zip(bounds, bounds[1:], strict=False)]
    assert parse_vector(vector, pieces) == vector.entries()


@pytest.mark.parametrize("vector", GOOD, ids=str)
def test_what_it_says_can_be_written_and_read_again(vector: Vector) -> None:
    raw = serialize(vector.entries(), vector.expected["boundary"])

    assert parse_vector(vector, [raw]) == vector.entries()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("vector", BAD, ids=str)
def test_a_bad_batch_is_refused_with_its_error(vector: Vector, size: int) -> None:
    with pytest.raises(errors.WireError) as caught:
        parse_vector(vector, cut(vector.raw, size))

    expected = (getattr(errors, vector.expected["error"]), vector.expected["status_hint"], vector.expected["text"])
    assert (type(caught.value), caught.value.status_hint, str(caught.value)) == expected


def test_every_vector_says_what_it_is_about() -> None:
    assert (len(GOOD), len(BAD)) >= (14, 47)
    assert [vector.name for vector in GOOD + BAD if not vector.expected["about"]] == []


# Any batch


@given(entries=st.lists(answers, min_size=1, max_size=5), boundary=boundaries, size=st.integers(1, 400))
def test_any_batch_is_read_as_it_was_written(entries: list[Entry], boundary: str, size: int) -> None:
    assert parse(cut(serialize(entries, boundary), size), boundary=boundary) == entries


@given(raw=st.binary(max_size=60), size=st.integers(1, 60))
def test_any_bytes_behind_an_entry_are_read_or_refused_alike_however_they_are_cut(raw: bytes, size: int) -> None:
    def outcome(pieces: Iterable[bytes]) -> object:
        try:
            return parse(pieces)
        except errors.WireError as exc:
            return str(exc)

    whole = encode_entry("b", answer(b"ok")) + raw
    assert outcome([whole]) == outcome(cut(whole, size))


def test_an_entry_arrives_with_the_byte_behind_its_message() -> None:
    parser = BatchParser("b", ANSWERS)
    first, second = answer(b"one", "r1"), answer(b"two", "r2")
    raw = encode_entry("b", first)

    assert parser.feed(raw[:-1]) == []
    assert parser.feed(raw[-1:]) == [first]
    assert parser.feed(encode_entry("b", second)) == [second]


def test_an_entry_names_its_exchange() -> None:
    assert answer(b"", "r1").request_id == "r1"


@pytest.mark.parametrize(("media_type", "is_to_fetch"), [(TO_FETCH_MEDIA_TYPE, True), (REQUEST_MEDIA_TYPE, False)])
def test_an_entry_says_whether_its_request_is_to_be_fetched(media_type: str, *, is_to_fetch: bool) -> None:
    assert Entry(Headers([("Content-Type", media_type)]), b"").is_to_fetch is is_to_fetch


# Limits


@pytest.mark.parametrize("size", [1 << 16, 1 << 30])
def test_messages_up_to_the_limits_pass(size: int) -> None:
    entries = [answer(bytes(MAX_ENTRY_BYTES), f"r{number}") for number in range(MAX_BATCH_BYTES // MAX_ENTRY_BYTES)]

    assert parse(cut(serialize(entries), size)) == entries


@pytest.mark.parametrize("size", [1 << 16, 1 << 30])
def test_messages_together_over_the_limit_are_refused(size: int) -> None:
    count = MAX_BATCH_BYTES // MAX_ENTRY_BYTES
    entries = [*(answer(bytes(MAX_ENTRY_BYTES), f"r{number}") for number in range(count)), answer(b"x", "last")]

    with pytest.raises(MessageTooLarge, match="^messages of a batch over 8388608 bytes$"):
        parse(cut(serialize(entries), size))


# Writing


@pytest.mark.parametrize("name", ["Content-Length", "content-length", "Transfer-Encoding"])
def test_framing_is_no_field_of_an_entry(name: str) -> None:
    with pytest.raises(ValueError, match="^headers: framing is made here$"):
        encode_entry("b", answer(b"", "r1", (name, "0")))


def test_a_field_that_would_begin_another_line_is_not_written() -> None:
    with pytest.raises(MalformedMessage):
        encode_entry("b", answer(b"", "r1", ("X", "a\r\nContent-Length: 3")))
