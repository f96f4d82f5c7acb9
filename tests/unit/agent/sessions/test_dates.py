"""Dates of cookies."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sessions.dates import parse_cookie_date

MOMENT = datetime(2027, 11, 6, 8, 49, 37, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "Sat, 06 Nov 2027 08:49:37 GMT",
        "Saturday, 06-Nov-27 08:49:37 GMT",
        "Sat Nov  6 08:49:37 2027",
        "06 nov 2027 8:49:37",
        "2027 NOVEMBER 06 08:49:37",  # the first number that can be a day is one, and 2027 cannot
        "08:49:37x 06th November 2027 +0500",  # zones are not looked at
        "Sat\t06-Nov-2027/08:49:37",
    ],
)
def test_every_form_that_browsers_read_is_read(text: str) -> None:
    assert parse_cookie_date(text) == MOMENT


@pytest.mark.parametrize(("year", "full"), [("69", 2069), ("70", 1970), ("99", 1999), ("00", 2000), ("1601", 1601)])
def test_a_year_of_two_digits_is_one_of_our_time(year: str, full: int) -> None:
    found = parse_cookie_date(f"01-Jan-{year} 00:00:00")
    assert found is not None and found.year == full


@pytest.mark.parametrize(
    "text",
    [
        "",
        "never",
        "0",
        "Sat, 06 Nov 2027",
        "06 2027 08:49:37",
        "Nov 2027 08:49:37",
        "06 Nov 08:49:37",
        "31 Feb 2027 08:49:37",
        "00 Nov 2027 08:49:37",
        "06 Nov 2027 24:00:00",
        "06 Nov 2027 08:60:00",
        "06 Nov 2027 08:49:60",
        "06 Nov 2027 08:49",
        "06 Nov 1600 08:49:37",
        "06 Nov 20270 08:49:37",
        "06 Nov 2027 08:49:377",
    ],
)
def test_anything_else_is_no_date(text: str) -> None:
    assert parse_cookie_date(text) is None


@given(st.datetimes(datetime(1601, 1, 1), datetime(9999, 12, 31)))
def test_the_form_of_http_is_read_back(moment: datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][moment.month - 1]
    text = f"Mon, {moment.day:02} {month} {moment.year:04} {moment:%H:%M:%S} GMT"
    assert parse_cookie_date(text) == moment


@given(st.text())
def test_no_text_raises(text: str) -> None:
    parse_cookie_date(text)
