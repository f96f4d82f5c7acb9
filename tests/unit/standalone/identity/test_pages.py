"""`standalone.identity.pages`: pages that somebody opens, and changes that others make."""

import pytest

from standalone.identity.pages import form_fields, is_foreign_change, is_navigation, wants_upgrade
from wire.headers import Headers
from wire.http1 import RequestHead

ORIGIN = "https://proxy.example.org"
SOCKET = {"Connection": "keep-alive, Upgrade", "Upgrade": "websocket"}


def head(method: str = "GET", **fields: str) -> RequestHead:
    return RequestHead(method, "/", Headers((name.replace("_", "-"), value) for name, value in fields.items()), None)


@pytest.mark.parametrize(
    ("request_head", "expected"),
    [
        (head(Sec_Fetch_Mode="navigate"), True),
        (head(Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="iframe"), True),
        (head(Sec_Fetch_Mode="cors", Accept="text/html"), False),
        (head(Sec_Fetch_Mode="no-cors", Accept="text/html"), False),
        (head(Sec_Fetch_Mode="websocket"), False),
        (head(Accept="text/html,*/*;q=0.8"), True),
        (head(Accept="TEXT/HTML"), True),
        (head(Accept="text/html", X_Requested_With="XMLHttpRequest"), False),
        (head(Accept="*/*"), False),
        (head(Accept="application/json"), False),
        (head(), False),
        (head("POST", Sec_Fetch_Mode="navigate"), False),
        (head("HEAD", Accept="text/html"), False),
        (head(Accept="text/html", **SOCKET), False),
    ],
)
def test_a_page_that_somebody_opens_is_told_from_what_a_script_asks_for(
    request_head: RequestHead, expected: bool
) -> None:
    assert is_navigation(request_head) is expected


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
def test_what_changes_nothing_may_come_from_anywhere(method: str) -> None:
    assert not is_foreign_change(head(method, Origin="https://evil.org", Sec_Fetch_Site="cross-site"), origin=ORIGIN)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"])
@pytest.mark.parametrize(
    ("fields", "foreign"),
    [
        ({"Origin": ORIGIN}, False),
        ({"Origin": ORIGIN.upper()}, False),
        ({"Origin": "https://evil.org"}, True),
        ({"Origin": "https://proxy.example.org.evil.org"}, True),
        ({"Origin": "http://proxy.example.org"}, True),
        ({"Origin": "https://proxy.example.org:8443"}, True),
        ({"Origin": "https://other.example.org", "Sec-Fetch-Site": "same-site"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": ""}, True),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, False),
        ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, True),
        ({"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"}, False),
        ({}, False),
    ],
)
def test_a_change_has_to_come_from_our_own_pages(method: str, fields: dict[str, str], foreign: bool) -> None:
    assert is_foreign_change(head(method, **fields), origin=ORIGIN) is foreign


def test_opening_a_websocket_counts_as_a_change() -> None:
    assert is_foreign_change(head(Origin="https://evil.org", **SOCKET), origin=ORIGIN)
    assert not is_foreign_change(head(Origin=ORIGIN, **SOCKET), origin=ORIGIN)


def test_an_origin_that_is_allowed_may() -> None:
    assert not is_foreign_change(head("POST", Origin="https://app.org"), origin=ORIGIN, allowed=["https://app.org"])


def test_two_origins_are_nobodys() -> None:
    two = RequestHead("POST", "/", Headers([("Origin", ORIGIN), ("Origin", ORIGIN)]), None)

    assert is_foreign_change(two, origin=ORIGIN)


@pytest.mark.parametrize(
    ("fields", "expected"), [(SOCKET, True), ({"Upgrade": "websocket"}, False), ({"Connection": "upgrade"}, False)]
)
def test_an_upgrade_is_wanted_where_the_connection_says_so(fields: dict[str, str], expected: bool) -> None:
    assert wants_upgrade(head(**fields)) is expected


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/x-www-form-urlencoded", True),
        ("Application/X-WWW-Form-Urlencoded; charset=utf-8", True),
        ("text/plain", False),
        ("", False),
    ],
)
def test_a_form_is_known_by_its_type(content_type: str, expected: bool) -> None:
    assert form_fields(Headers([("Content-Type", content_type)])) is expected
