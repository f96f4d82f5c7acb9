from itertools import pairwise

import pytest

from standalone.connections.cutting import Cutter


def pieces_of(*received: bytes, body: int = 0) -> list[bytes]:
    """What has come, in pieces; a body of known length is behind the first of them."""
    cutter, pieces = Cutter(), list[bytes]()
    for data in received:
        start = 0
        while start < len(data):
            end = cutter.end_of(data, start)
            pieces.append(data[start:end])
            if len(pieces) == 1:
                cutter.body_left = body
            start = end
    return pieces


def test_a_piece_ends_behind_an_empty_line() -> None:
    assert pieces_of(b"a\r\nb\r\n\r\nc\r\n\r\nd") == [b"a\r\nb\r\n\r\n", b"c\r\n\r\n", b"d"]


def test_a_body_whose_length_is_known_is_a_piece_whatever_it_is() -> None:
    assert pieces_of(b"a\r\n\r\n\r\n\r\n\r\nxb\r\n\r\n", body=7) == [b"a\r\n\r\n", b"\r\n\r\n\r\nx", b"b\r\n\r\n"]


def test_a_body_may_come_little_by_little() -> None:
    assert pieces_of(b"a\r\n\r\n1", b"2", b"3b\r\n\r\n", body=3) == [b"a\r\n\r\n", b"1", b"2", b"3", b"b\r\n\r\n"]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7])
def test_an_empty_line_is_found_however_it_comes(size: int) -> None:
    data = b"a\r\n\r\nbc\r\r\n\nd\r\n\r\n\r\n\r\ne"
    received = [data[start:end] for start, end in pairwise([*range(0, len(data), size), len(data)])]
    ends, at = list[int](), 0
    for piece in pieces_of(*received):
        at += len(piece)
        ends.append(at)

    assert {5, 16, 20} <= set(ends)
    assert set(ends) <= {5, 16, 20, *range(size, len(data), size), len(data)}
