"""Which requests are for a page, and which answers are one."""

import pytest

from agent.html.pages import Place, is_ascii_compatible, is_attachment, media_type, place_of, varying
from wire.headers import Headers
from wire.http1 import RequestHead

CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"

REQUESTS = [
    ({"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}, Place.TOP),
    ({"Sec-Fetch-Dest": "document"}, Place.TOP),
    ({"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate"}, Place.INNER),
    ({"Sec-Fetch-Dest": "frame", "Sec-Fetch-Mode": "nested-navigate"}, Place.INNER),
    ({"Sec-Fetch-Dest": "object", "Sec-Fetch-Mode": "navigate"}, Place.INNER),
    ({"Sec-Fetch-Dest": "object", "Sec-Fetch-Mode": "no-cors"}, Place.NOWHERE),
    ({"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors", "Accept": "text/html"}, Place.NOWHERE),
    ({"Sec-Fetch-Dest": "image", "Accept": CHROME}, Place.NOWHERE),
    ({"Accept": CHROME}, Place.UNKNOWN),
    ({"Accept": "a/b, Text/HTML;q=0.1"}, Place.UNKNOWN),
    ({"Accept": "application/xhtml+xml"}, Place.UNKNOWN),
    ({"Accept": CHROME, "X-Requested-With": "XMLHttpRequest"}, Place.NOWHERE),
    ({"Accept": "text/html, */*", "hx-request": "true"}, Place.NOWHERE),
    ({"Accept": "*/*"}, Place.NOWHERE),
    ({"Accept": "text/html-fragment"}, Place.NOWHERE),
    ({}, Place.NOWHERE),
]


@pytest.mark.parametrize(("fields", "expected"), REQUESTS)
def test_a_request_says_where_its_answer_will_be_shown(fields: dict[str, str], expected: Place) -> None:
    head = RequestHead("GET", "/", Headers([("Host", "x"), *fields.items()]), None)
    assert place_of(head) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("text/html", "text/html"), (" Text/HTML ; charset=x", "text/html"), ("", ""), ("text/htmlx", "text/htmlx")],
)
def test_a_media_type_is_read_without_its_parameters(value: str, expected: str) -> None:
    assert media_type(Headers([("Content-Type", value)])) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text/html", True),
        ("text/html; charset=utf-8", True),
        ("text/html; charset=Shift_JIS", True),
        ("text/html; a=b; Charset = 'UTF-16LE'", False),
        ('text/html;charset="utf-16"', False),
        ("text/html; charset=iso-2022-jp", False),
        ("text/html; charset=utf-8; charset=utf-16", True),
    ],
)
def test_an_encoding_is_of_ascii_or_not(value: str, expected: bool) -> None:
    assert is_ascii_compatible(Headers([("Content-Type", value)])) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("attachment", True),
        ("ATTACHMENT; filename=a", True),
        ("form-data", True),
        ("inline; filename=attachment.html", False),
        ("filename=attachment", False),
        ("", False),
    ],
)
def test_an_attachment_is_known_by_its_kind(value: str, expected: bool) -> None:
    assert is_attachment(Headers([("Content-Disposition", value)])) is expected


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], [("Vary", "A, B")]),
        ([("vary", "a")], [("vary", "a"), ("Vary", "B")]),
        ([("Vary", "x, B, A")], [("Vary", "x, B, A")]),
        ([("Vary", "*")], [("Vary", "*")]),
    ],
)
def test_vary_names_what_was_not_named_yet(before: list[tuple[str, str]], after: list[tuple[str, str]]) -> None:
    assert list(varying(Headers(before), "A", "B")) == after
