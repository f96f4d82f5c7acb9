"""Bodies come out as they went in, however they are cut, and hand back what stands behind them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.bodies import Body, ChunkedBody, End, EndlessBody, SizedBody
from wire.errors import MalformedMessage, MessageTooLarge
from wire.headers import Headers
from wire.http1 import chunk, last_chunk
from wire.protocol import MAX_HEAD_BYTES

Events = list[bytes | End]


def read(body: Body, pieces: list[bytes]) -> tuple[Events, bytes]:
    """The events, and what stood behind the end."""
    events: Events = []
    behind = b""
    for piece in pieces:
        behind += piece if body.is_over else body.feed(piece, events)
    return events, behind


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Data in pieces; some may be empty."""
    ends = sorted(min(place, len(data)) for place in places)
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]


def joined(events: Events) -> bytes:
    return b"".join(event for event in events if isinstance(event, bytes))


PLACES = st.lists(st.integers(0, 200), max_size=8)


@given(data=st.binary(max_size=100), behind=st.binary(max_size=10), places=PLACES)
def test_a_body_of_known_length_ends_there(data: bytes, behind: bytes, places: list[int]) -> None:
    body = SizedBody(len(data))
    events, rest = read(body, cut(data + behind, places))
    assert (joined(events), rest, body.is_over) == (data, behind, True)
    assert events.count(End()) == 1 and b"" not in events


@given(data=st.binary(max_size=100), places=PLACES)
def test_an_endless_body_ends_with_its_connection(data: bytes, places: list[int]) -> None:
    body = EndlessBody()
    events, rest = read(body, cut(data, places))
    assert (joined(events), rest, body.is_over) == (data, b"", False)
    assert (body.close(), body.is_over) == ([End()], True)


@given(chunks=st.lists(st.binary(max_size=40), max_size=5), behind=st.binary(max_size=10), places=PLACES)
def test_chunks_come_out_joined_and_trailers_at_the_end(chunks: list[bytes], behind: bytes, places: list[int]) -> None:
    trailers = Headers([("X-Digest", "abc"), ("x-digest", "")])
    body = ChunkedBody()
    events, rest = read(body, cut(b"".join(map(chunk, chunks)) + last_chunk(trailers) + behind, places))
    assert (joined(events), rest, body.is_over) == (b"".join(chunks), behind, True)
    assert [event for event in events if not isinstance(event, bytes)] == [End(trailers)]
    assert b"" not in events


@pytest.mark.parametrize("head", [b"5", b"05", b"5;a=b", b'5;a="b;c"', b"5 ", b"5;a\t", b"5;\xe4"])
def test_extensions_of_a_chunk_are_skipped(head: bytes) -> None:
    events, _ = read(ChunkedBody(), [head + b"\r\nhello\r\n0;last\r\n\r\n"])
    assert events == [b"hello", End()]


@pytest.mark.parametrize("head", [b"", b"-5", b"+5", b"0x5", b"5,", b" 5", b"5 ;a", b"5\r", b"5;\x00", b"f" * 16, b"g"])
def test_what_is_no_chunk_header_is_refused(head: bytes) -> None:
    with pytest.raises(MalformedMessage, match="illegal chunk header"):
        read(ChunkedBody(), [head + b"\r\nhello\r\n0\r\n\r\n"])


@pytest.mark.parametrize("footer", [b"x", b"\n", b"\rx", b"0\r\n"])
def test_a_chunk_ends_with_its_line(footer: bytes) -> None:
    with pytest.raises(MalformedMessage, match="malformed chunk footer"):
        read(ChunkedBody(), [b"5\r\nhello", footer])


@pytest.mark.parametrize(
    "trailers", [b"X-A\r\n", b"X A: b\r\n", b"X-A: b\r\n c\r\n", b"X-A: b\nX-B: c\r\n", b": b\r\n"]
)
def test_trailers_are_as_strict_as_heads(trailers: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read(ChunkedBody(), [b"0\r\n", trailers + b"\r\n"])


@pytest.mark.parametrize("start", [b"", b"0\r\n"], ids=["chunk header", "trailers"])
def test_lines_that_do_not_end_are_too_long_some_day(start: bytes) -> None:
    with pytest.raises(MessageTooLarge):
        read(ChunkedBody(), [start, *[b"1" * 1000] * (MAX_HEAD_BYTES // 1000 + 1)])


@pytest.mark.parametrize("body", [SizedBody(1), ChunkedBody()])
def test_what_ends_too_early_is_not_whole(body: Body) -> None:
    with pytest.raises(MalformedMessage, match="ends within its body"):
        body.close()


def test_many_small_chunks_cost_no_more_than_their_bytes() -> None:
    """What has been read is not copied again for each chunk: half a million of them would take minutes."""
    body = ChunkedBody()
    events, _ = read(body, [b"1\r\nx\r\n" * 200_000, last_chunk()])
    assert len(joined(events)) == 200_000


def test_spaces_in_an_extension_cost_no_more_than_their_bytes() -> None:
    """A pattern that tries every way to share them out takes ten seconds for each of these lines."""
    for _ in range(60):
        with pytest.raises(MalformedMessage, match="illegal chunk header"):
            read(ChunkedBody(), [b"5;" + b" " * 60_000 + b"\x00\r\n"])


@pytest.mark.parametrize(
    ("start", "line", "end"),
    [
        (b"", b"1;" + b"a" * (MAX_HEAD_BYTES - 2), b"\r\nx"),
        (b"0\r\n", b"A:" + b"b" * (MAX_HEAD_BYTES - 4), b"\r\n\r\n"),
    ],
    ids=["chunk header", "trailers"],
)
@pytest.mark.parametrize("cut", range(5))
def test_what_is_as_long_as_the_limit_passes_wherever_it_is_cut(
    start: bytes, line: bytes, end: bytes, cut: int
) -> None:
    events, _ = read(ChunkedBody(), [start, line + end[:cut], end[cut:]])
    assert events

    with pytest.raises(MessageTooLarge):
        read(ChunkedBody(), [start, line + b"b" + end[:cut], end[cut:]])


def test_a_piece_of_a_long_chunk_is_not_copied_and_short_chunks_that_come_together_go_on_as_one_piece() -> None:
    body, piece = ChunkedBody(), bytes(1000)
    long, _ = read(body, [b"1388\r\n", piece, piece])
    short, _ = read(ChunkedBody(), [b"1\r\na\r\n" * 3, last_chunk()])

    assert [event is piece for event in long] == [True, True]
    assert short == [b"aaa", End()]
