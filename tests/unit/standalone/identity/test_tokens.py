"""`standalone.identity.tokens`: what a token is, and what its file says."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standalone.identity.tokens import (
    PREFIX,
    Entry,
    TokenFileError,
    Tokens,
    digest_of,
    new_token,
    parse_expiry,
    parse_tokens,
)
from tests.fakes.clock import NOON

HASH = "sha256:" + "0" * 64
OTHER = "sha256:" + "1" * 64

accounts = st.from_regex(r"[a-z][a-z0-9]{0,8}(@[a-z]{1,8}\.example)?", fullmatch=True)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
entries = st.builds(
    Entry,
    account=accounts,
    digest=st.binary(min_size=32, max_size=32),
    name=st.from_regex(r"[A-Za-z0-9._-]{0,12}", fullmatch=True),
    expires=st.none() | moments,
)


def test_a_token_is_known_by_its_prefix_and_no_two_are_alike() -> None:
    made = {new_token() for _ in range(100)}

    assert (len(made), {token.startswith(PREFIX) for token in made}) == (100, {True})
    assert min(len(token) for token in made) == len(PREFIX) + 43  # 256 bits


def test_a_token_is_found_and_nothing_like_it() -> None:
    token = new_token()
    entry = Entry(account="ci", digest=digest_of(token))
    tokens = Tokens([entry, Entry(account="other", digest=digest_of(new_token()))])

    assert tokens.find(token, now=NOON) == entry
    assert [tokens.find(wrong, now=NOON) for wrong in (token[:-1], token + "x", token.upper(), "", "\udcff")] == 5 * [
        None
    ]


def test_a_token_is_good_until_it_ends() -> None:
    token = new_token()
    tokens = Tokens([Entry(account="ci", digest=digest_of(token), expires=NOON)])

    assert tokens.find(token, now=NOON - timedelta(microseconds=1)) is not None
    assert tokens.find(token, now=NOON) is None


@given(st.lists(entries, unique_by=lambda entry: entry.digest))
def test_what_is_written_is_read_back(written: list[Entry]) -> None:
    assert list(parse_tokens("\n".join(entry.line() for entry in written))) == written


@given(st.text())
def test_any_text_is_a_list_of_tokens_or_is_refused_by_line(text: str) -> None:
    try:
        parse_tokens(text)
    except TokenFileError as exc:
        assert str(exc).startswith("line ")


def test_remarks_and_empty_lines_are_left_out() -> None:
    tokens = parse_tokens(f"# all of them\n\nci@example.org {HASH} name=one # the first\n  # and\nbuild {OTHER}\n")

    assert [(entry.account, entry.name) for entry in tokens] == [("ci@example.org", "one"), ("build", "")]


def test_accounts_are_kept_in_lower_case() -> None:
    assert [entry.account for entry in parse_tokens(f"CI@Example.org {HASH}")] == ["ci@example.org"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"#\na@@b c {HASH}", "line 2: the hash"),
        (f"@example.org {HASH}", "line 1: an account was expected"),
        ("ci", "line 1: the hash of a token was expected"),
        ("ci ipx_itself", "line 1: the hash of a token was expected"),
        (f"ci {HASH.upper()}", "line 1: the hash of a token was expected"),
        (f"ci {HASH}0", "line 1: the hash of a token was expected"),
        (f"ci {HASH} nane=x", "line 1: name=… and expires=… were expected"),
        (f"ci {HASH} name=x name=y", "line 1: name=… and expires=… were expected"),
        (f"ci {HASH} name=x/y", "line 1: name= takes"),
        (f"ci {HASH} expires=tomorrow", "line 1: expires= takes a day"),
        (f"ci {HASH}\n\nci {HASH}", "line 3: the same token as in line 1"),
    ],
)
def test_a_bad_line_is_named_and_no_token_is_shown(text: str, expected: str) -> None:
    with pytest.raises(TokenFileError) as caught:
        parse_tokens(text)

    assert (str(caught.value).startswith(expected), "itself" in str(caught.value)) == (True, False), caught.value


def test_an_end_is_a_day_in_utc_or_a_time_with_its_offset() -> None:
    assert parse_expiry("2027-01-31") == datetime(2027, 1, 31, tzinfo=UTC)
    assert parse_expiry("2027-01-31T12:00:00+02:00") == datetime(2027, 1, 31, 12, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize("text", ["", "never", "2027-02-30", "2027-01-31T12:00:00"])
def test_anything_else_is_no_end(text: str) -> None:
    with pytest.raises(ValueError):
        parse_expiry(text)
