"""`standalone.identity.returning`: nobody is sent to another place."""

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standalone.identity.returning import HOME, return_target

BASE = "https://proxy.example.org/page"


@pytest.mark.parametrize("target", ["/", "/a", "/a/b?c=d&e=%2F", "/?", "/a//b", "/a?next=https://x.org", "/%5C%5Cx"])
def test_a_page_of_this_proxy_is_where_somebody_goes(target: str) -> None:
    assert return_target(target) == target


@pytest.mark.parametrize(
    "target",
    [
        "//evil.org",
        "///evil.org",
        "/\\evil.org",
        "\\\\evil.org",
        "/\t/evil.org",
        "/\n/evil.org",
        "/a\\b",
        "https://evil.org",
        "https:evil.org",
        "javascript:alert(1)",
        "evil.org",
        "",
        "*",
        " /a",
        "/a b",
        "/é",
        "/a\r\nSet-Cookie: x=y",
    ],
)
def test_everything_else_is_the_root(target: str) -> None:
    assert return_target(target) == HOME


@given(st.text(alphabet="/\\.:@?#ab%\t\n ") | st.text())
def test_whatever_is_asked_for_stays_on_this_host(target: str) -> None:
    led = urlsplit(urljoin(BASE, return_target(target).replace("\\", "/")))

    assert (led.scheme, led.netloc) == ("https", "proxy.example.org")
