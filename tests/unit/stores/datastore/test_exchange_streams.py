"""Where the bytes of a stream lie."""

import pytest

from stores.datastore.exchange_streams import (
    MAX_INLINE_BYTES,
    MAX_PART_BYTES,
    MAX_READ_BYTES,
    Stream,
    new_writer,
    start_of,
)


def test_a_stream_is_cut_where_an_entity_is_full() -> None:
    stream, parts = Stream().adding(bytes(2 * MAX_PART_BYTES + 1), last=True, writer=new_writer())
    assert stream == Stream(tuple(parts), 2 * MAX_PART_BYTES + 1, ended=True)
    assert {start_of(name): len(data) for name, data in parts.items()} == {
        0: MAX_PART_BYTES,
        MAX_PART_BYTES: MAX_PART_BYTES,
        2 * MAX_PART_BYTES: 1,
    }


def test_parts_that_are_written_before_the_state_have_a_name_that_nobody_else_gives() -> None:
    several = [set(Stream().adding(bytes(MAX_PART_BYTES + 1), last=True, writer=new_writer())[1]) for _ in range(2)]
    assert not several[0] & several[1]
    assert list(Stream((), 7, inline=b"little!").adding(bytes(MAX_PART_BYTES), last=True, writer=new_writer())[1]) == [
        "7"
    ]


def test_an_exact_multiple_has_no_empty_part() -> None:
    assert len(Stream().adding(bytes(MAX_PART_BYTES), last=True, writer=new_writer())[1]) == 1
    assert Stream().adding(b"", last=True, writer=new_writer()) == (Stream(ended=True), {})


def test_few_bytes_are_inline_and_what_comes_behind_them_is_in_parts() -> None:
    few, none = Stream().adding(b"few", last=False, writer=new_writer())
    assert (few, none) == (Stream((), 3, inline=b"few"), {})
    more, parts = few.adding(bytes(MAX_INLINE_BYTES), last=True, writer=new_writer())
    assert more == Stream(("3",), 3 + MAX_INLINE_BYTES, ended=True, inline=b"few")
    assert (list(parts), more.parts_between(0, 9), more.parts_between(3, 4)) == (["3"], ["3"], ["3"])
    assert more.adding(b"little", last=False, writer=new_writer())[0].inline == b"few"


def test_what_has_ended_stays_ended() -> None:
    assert Stream(("0",), 3, ended=True).adding(b"", last=False, writer=new_writer())[0].ended


@pytest.mark.parametrize(
    ("offset", "end", "names"),
    [(0, 1, "0"), (9, 10, "0"), (9, 11, "0 10.a"), (10, 11, "10.a"), (15, 25, "10.a 20"), (0, 30, "0 10.a 20")],
)
def test_the_parts_that_hold_some_bytes(offset: int, end: int, names: str) -> None:
    assert Stream(("0", "10.a", "20"), 30).parts_between(offset, end) == names.split()


def test_what_comes_next_begins_where_the_stored_bytes_end() -> None:
    assert Stream(("0", "10.a", "20"), 30).parts_from(30) == ["30"]
    assert Stream().parts_from(0) == []


def test_no_more_is_read_at_once_than_a_look_up_should_bring() -> None:
    stream, _ = Stream().adding(bytes(31_000_000), last=True, writer=new_writer())
    for offset in (0, 1, MAX_PART_BYTES - 1, MAX_PART_BYTES, 30_999_999):
        starts = [start_of(name) for name in stream.parts_from(offset)]
        assert starts[0] <= offset < starts[0] + MAX_PART_BYTES
        assert len(starts) * MAX_PART_BYTES <= MAX_READ_BYTES


@pytest.mark.parametrize(("names", "size"), [("", 0), ("0", 30), ("10.a 20", 20), ("20", 10), ("30", MAX_PART_BYTES)])
def test_parts_hold_no_more_than_is_stored_behind_their_beginning_and_one_that_may_come_may_be_full(
    names: str, size: int
) -> None:
    assert Stream(("0", "10.a", "20"), 30).size_of(names.split()) == size
