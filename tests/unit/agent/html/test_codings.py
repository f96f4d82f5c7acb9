"""Bodies in gzip and deflate."""

import gzip
import zlib
from collections.abc import Iterator
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.html.codings import can_decode, codings_of, decoded
from agent.transport.errors import Broken
from wire.headers import Headers
from wire.http1 import End

TEXT = b"<html>" + bytes(range(256)) * 20


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKED = [
    (["gzip"], gzip.compress(TEXT)),
    (["gzip"], gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
    (["gzip"], gzip.compress(TEXT) + b"\0\0\0\x1f trailing"),
    (["deflate"], zlib.compress(TEXT)),
    (["deflate"], zlib.compress(TEXT) + b"trailing"),
    (["deflate"], zlib.compress(TEXT) + b"\x1ftrailing"),
    (["deflate"], raw_deflate(TEXT)),
    (["deflate", "gzip"], gzip.compress(zlib.compress(TEXT))),
    ([], TEXT),
]


def unpacked(pieces: list[bytes], codings: list[str]) -> bytes:
    *body, end = decoded(iter([*[piece for piece in pieces if piece], End()]), codings)
    assert end == End()
    assert all(isinstance(piece, bytes) and piece for piece in body)
    return b"".join(piece for piece in body if isinstance(piece, bytes))


@pytest.mark.parametrize(("codings", "body"), PACKED)
def test_a_body_is_decoded_however_it_is_cut(codings: list[str], body: bytes) -> None:
    assert unpacked([body], codings) == TEXT
    assert unpacked([body[i : i + 1] for i in range(len(body))], codings) == TEXT


@given(st.binary(max_size=2000), st.integers(0, 2000), st.sampled_from([gzip.compress, zlib.compress, raw_deflate]))
def test_every_body_comes_back(data: bytes, cut: int, pack: object) -> None:
    body: bytes = pack(data)  # type: ignore[operator]
    assert unpacked([body[:cut], body[cut:]], ["gzip" if pack is gzip.compress else "deflate"]) == data


def test_what_was_flushed_flows_before_the_rest_comes() -> None:
    packer = zlib.compressobj(wbits=31)
    first = packer.compress(b"<html>") + packer.flush(zlib.Z_SYNC_FLUSH)

    def body() -> Iterator[bytes | End]:
        yield first
        raise AssertionError("asked for more")

    assert next(decoded(body(), ["gzip"])) == b"<html>"


def test_a_small_body_that_unfolds_far_comes_in_small_pieces() -> None:
    bomb = gzip.compress(b"\0" * (50 << 20))
    pieces = list(islice(decoded(iter([bomb, End()]), ["gzip"]), 100))
    assert {len(piece) for piece in pieces if isinstance(piece, bytes)} == {64 * 1024}


@pytest.mark.parametrize(
    ("codings", "body"),
    [
        (["gzip"], gzip.compress(TEXT)[:-1]),
        (["deflate"], zlib.compress(TEXT)[:-1]),
        (["deflate"], raw_deflate(TEXT)[:-1]),
        (["deflate", "gzip"], gzip.compress(zlib.compress(TEXT)[:-1])),
        (["gzip"], gzip.compress(b"") + gzip.compress(TEXT)[:-1]),
    ],
)
def test_a_body_that_ends_early_is_broken_when_what_there_is_has_been_read(codings: list[str], body: bytes) -> None:
    for length in (1, 15, len(body) // 2, len(body)):
        events = decoded(iter([body[:length], End()]), codings)
        read = b""
        with pytest.raises(Broken, match="early"):
            for event in events:
                assert isinstance(event, bytes)
                read += event
        assert TEXT.startswith(read)


@pytest.mark.parametrize("codings", [["gzip"], ["deflate"], ["deflate", "gzip"]])
def test_a_body_without_a_byte_is_whole(codings: list[str]) -> None:
    assert unpacked([], codings) == b""


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_what_is_not_in_its_coding_is_broken(coding: str) -> None:
    with pytest.raises(Broken):
        unpacked([b"<html><head>"], [coding])


@pytest.mark.parametrize(
    ("values", "expected", "is_known"),
    [
        ([], [], True),
        (["identity"], [], True),
        ([" GZip"], ["gzip"], True),
        (["x-gzip, deflate", "identity"], ["gzip", "deflate"], True),
        (["br"], ["br"], False),
        (["gzip, zstd"], ["gzip", "zstd"], False),
        (["gzip, gzip, gzip, gzip"], ["gzip"] * 4, False),
    ],
)
def test_codings_are_read_in_their_order(values: list[str], expected: list[str], is_known: bool) -> None:
    codings = codings_of(Headers(("Content-Encoding", value) for value in values))
    assert (codings, can_decode(codings)) == (expected, is_known)
