"""Redirects to other sites."""

import pytest

from agent.banner.departure import departure_of, render_departure
from wire.headers import Headers
from wire.http1 import RequestHead, ResponseHead

ELSEWHERE = "https://login.example/a?b=1#c"


def departure(
    location: str | None, *, status: int = 302, method: str = "GET", host: str = "Site.example:8080"
) -> str | None:
    fields = [] if location is None else [("Location", location)]
    request = RequestHead(method, "/", Headers([("Host", host)]), None)
    return departure_of(request, ResponseHead(status, Headers(fields), None))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_site_leads_there(status: int) -> None:
    assert departure(ELSEWHERE, status=status) == ELSEWHERE


@pytest.mark.parametrize("location", ["//other.example/x", "HTTP://site.example/"])
def test_another_host_or_port_is_another_site(location: str) -> None:
    assert departure(location) == location


def test_an_address_in_bytes_is_one_in_ascii() -> None:
    assert departure("https://o.example/" + "ü".encode().decode("latin-1")) == "https://o.example/%C3%BC"


@pytest.mark.parametrize(
    "location",
    [
        None, "", "/x", "x", "?a", "//site.example:8080/x", "https://site.example:8080/", "javascript:alert(1)",
        "data:text/html,x", "http://[", "https:///x",
    ],
)  # fmt: skip
def test_all_else_stays(location: str | None) -> None:
    assert departure(location) is None


def test_what_is_no_redirect_or_repeats_a_body_stays() -> None:
    assert [departure(ELSEWHERE, status=status) for status in (200, 201, 300, 304)] == [None] * 4
    assert [departure(ELSEWHERE, status=status, method="POST") for status in (303, 307)] == [ELSEWHERE, None]


def test_an_address_does_not_get_out_of_its_place() -> None:
    page = render_departure('https://a/"><script>x</script>').decode()
    assert page.count("<script>") == 1
    assert 'href="https://a/&quot;&gt;&lt;script&gt;' in page
