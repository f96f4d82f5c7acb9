"""The attributes of a start tag, and its end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.html.tags import TagEnd, attributes

TAGS = [
    (b"<meta>", {}),
    (b"<meta charset=utf-8>", {b"charset": b"utf-8"}),
    (b'<meta CHARSET = "UTF-8"/>', {b"charset": b"utf-8"}),
    (b"<meta charset='a' charset=b>", {b"charset": b"a"}),
    (b"<meta a b=>", {b"a": b"", b"b": b""}),
    (b"<meta a=b/c>", {b"a": b"b/c"}),
    (b"<meta/a/b=1/>", {b"a": b"", b"b": b"1/"}),
    (b"<meta =a=b>", {b"=a": b"b"}),
    (b"<meta a=\"x>y\" b='>'>", {b"a": b"x>y", b"b": b">"}),
    (b'<meta "a>', {b'"a': b""}),
    (b"<meta a='1'b='2'>", {b"a": b"1", b"b": b"2"}),
    (b"<meta a\f=\r\n1\tb>", {b"a": b"1", b"b": b""}),
    (b"<meta a\x0bb=1>", {b"a\x0bb": b"1"}),
]


@pytest.mark.parametrize(("tag", "expected"), TAGS)
def test_a_tag_is_read_as_the_standard_says(tag: bytes, expected: dict[bytes, bytes]) -> None:
    assert attributes(tag, name_length=4) == expected
    assert TagEnd().advance(tag + b"x>", 5) == (len(tag), True)


NAMES = st.text("abc-:=\"'<", min_size=1, max_size=5).filter(lambda name: "=" not in name[1:])
VALUES = st.text("ab= />'\t<", max_size=10)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_what_is_written_is_read_again(written: dict[str, str]) -> None:
    tag = "".join(["<meta", *(f' {name}="{value}"' for name, value in written.items()), " >"]).encode()
    assert TagEnd().advance(tag + b"'>", 5) == (len(tag), True)
    assert attributes(tag, name_length=4) == {name.encode(): value.encode() for name, value in written.items()}
