"""Entity tags with a mark."""

import pytest

from agent.html.validators import asking_for_changed, marked, unmarked
from wire.headers import Headers

MARK = "-m"


@pytest.mark.parametrize(
    ("tag", "expected"), [('"a"', ['"a-m"']), ('W/"a"', ['W/"a-m"']), ('""', ['"-m"']), ("a", []), ('w/"a"', [])]
)
def test_a_changed_page_has_a_tag_of_its_own(tag: str, expected: list[str]) -> None:
    assert marked(Headers([("ETag", tag)]), MARK).get_all("etag") == expected


def test_a_page_without_a_tag_gets_none() -> None:
    assert list(marked(Headers([("X", "1")]), MARK)) == [("X", "1")]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ('"a-m"', ['"a"']),
        ('W/"a-m", "b" , "c-m"', ['W/"a", "c"']),
        ('"a"', []),
        ("*", []),
        ('"a-n"', []),
        ('"a,-m"', ['"a,"']),
        ("a-m", []),
    ],
)
def test_only_conditions_on_the_changed_page_reach_the_backend(asked: str, expected: list[str]) -> None:
    others = [("If-Modified-Since", "x"), ("If-Range", "x"), ("Range", "x"), ("Cookie", "x")]
    headers = asking_for_changed(Headers([("If-None-Match", asked), *others]), MARK)
    assert headers.get_all("If-None-Match") == expected
    assert list(headers.without("If-None-Match")) == [("Cookie", "x")]


def test_what_is_overwritten_is_named_as_the_backend_knows_it() -> None:
    headers = Headers([("If-Match", '"a-m", "b"'), ("X", '"a-m"')])
    assert list(unmarked(headers, "if-match", MARK)) == [("If-Match", '"a", "b"'), ("X", '"a-m"')]
    assert unmarked(Headers([("X", "1")]), "If-Match", MARK) == Headers([("X", "1")])
