import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.headers import (
    HOP_BY_HOP,
    Headers,
    allowed_trailers,
    connection_options,
    normalise,
    without_hop_by_hop,
    without_prefixed,
)

NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=12)
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=8)


def respelled(name: str) -> st.SearchStrategy[str]:
    """Any spelling of a name that a CGI program cannot tell from it."""
    return st.tuples(*(st.sampled_from([c.lower(), c.upper(), "_" if c == "-" else c]) for c in name)).map("".join)


@given(PAIRS)
def test_fields_come_out_in_order_and_as_they_went_in(pairs: list[tuple[str, str]]) -> None:
    headers = Headers(pairs)

    assert list(headers) == pairs
    assert len(headers) == len(pairs)


@given(PAIRS, NAMES)
def test_look_up_ignores_case_and_keeps_order(pairs: list[tuple[str, str]], name: str) -> None:
    headers = Headers(pairs)
    expected = [value for key, value in pairs if key.lower() == name.lower()]

    assert headers.get_all(name) == headers.get_all(name.swapcase()) == expected
    assert headers.get(name) == (expected[0] if expected else None)
    assert (name in headers) == bool(expected)


@given(PAIRS, NAMES)
def test_without_a_name_nothing_of_it_is_left_and_all_else_is(pairs: list[tuple[str, str]], name: str) -> None:
    left = Headers(pairs).without(name.upper())

    assert name not in left
    assert list(left) == [pair for pair in pairs if pair[0].lower() != name.lower()]


@given(PAIRS, PAIRS)
def test_added_fields_stand_behind_all_others(pairs: list[tuple[str, str]], more: list[tuple[str, str]]) -> None:
    assert list(Headers(pairs).adding(*more)) == pairs + more


def test_an_empty_value_is_a_field() -> None:
    assert "X-Empty" in Headers([("X-Empty", "")])


def test_underscore_and_dash_are_different_names_for_look_up() -> None:
    assert "X-User" not in Headers([("X_User", "a")])


def test_equal_fields_make_equal_headers_and_nothing_else_does() -> None:
    headers = Headers([("A", "1"), ("B", "2")])

    assert headers == Headers([("A", "1"), ("B", "2")])
    assert hash(headers) == hash(Headers([("A", "1"), ("B", "2")]))
    assert headers != Headers([("B", "2"), ("A", "1")])
    assert headers != Headers([("a", "1"), ("B", "2")])
    assert headers != (("A", "1"), ("B", "2"))


def test_what_is_printed_names_fields_and_never_shows_values() -> None:
    assert repr(Headers([("Cookie", "secret"), ("Accept", "*/*")])) == "<Headers Cookie, Accept>"


@pytest.mark.parametrize(
    ("name", "form"), [("X-User", "x-user"), ("X_USER", "x-user"), ("x__A-", "x--a-"), ("host", "host")]
)
def test_names_that_a_backend_may_confuse_have_one_normal_form(name: str, form: str) -> None:
    assert normalise(name) == form


def test_connection_options_are_taken_from_all_fields_and_lists() -> None:
    headers = Headers([("Connection", "Close, X-A ,,"), ("connection", "\tX-b")])

    assert connection_options(headers) == {"close", "x-a", "x-b"}


def test_no_connection_field_has_no_options() -> None:
    assert connection_options(Headers([("Host", "x")])) == frozenset()


@given(PAIRS, st.sampled_from(sorted(HOP_BY_HOP)).flatmap(respelled))
def test_fields_of_one_hop_do_not_travel_in_any_spelling(pairs: list[tuple[str, str]], name: str) -> None:
    end_to_end = [pair for pair in pairs if normalise(pair[0]) not in HOP_BY_HOP]

    assert list(without_hop_by_hop(Headers([*pairs, (name, "value")]))) == end_to_end


@given(
    NAMES.filter(lambda name: name.lower() != "host").flatmap(lambda name: st.tuples(st.just(name), respelled(name)))
)
def test_fields_that_connection_names_do_not_travel_in_any_spelling(names: tuple[str, str]) -> None:
    named, sent = names

    assert list(without_hop_by_hop(Headers([("Connection", f"close, {named}"), (sent, "value")]))) == []


def test_host_travels_even_if_connection_names_it() -> None:
    headers = Headers([("Connection", "close, Host"), ("Host", "example.com")])

    assert list(without_hop_by_hop(headers)) == [("Host", "example.com")]


def test_end_to_end_fields_travel_untouched() -> None:
    pairs = [("Host", "x"), ("Cookie", "a=1"), ("Cookie", "b=2"), ("X-Empty", ""), ("Accept-Encoding", "gzip")]

    assert list(without_hop_by_hop(Headers(pairs))) == pairs


@given(PAIRS, respelled("X-Inverting-Proxy-User-ID"))
def test_fields_with_a_prefix_go_in_any_spelling(pairs: list[tuple[str, str]], forged: str) -> None:
    kept = [pair for pair in pairs if not normalise(pair[0]).startswith("x-inverting-proxy-")]

    assert list(without_prefixed(Headers([(forged, "root"), *pairs]), "x-inverting-proxy-")) == kept


def test_each_of_several_prefixes_counts() -> None:
    headers = Headers([("X-A-One", "1"), ("X-B-Two", "2"), ("X-Axe", "3")])

    assert list(without_prefixed(headers, "x-a-", "x-b-")) == [("X-Axe", "3")]


@pytest.mark.parametrize(
    "name",
    [
        *["Transfer-Encoding", "Content-Length", "content_length", "Host", "Trailer", "TE", "Connection"],
        *["Authorization", "Cookie", "Set-Cookie", "set_cookie", "Content-Type", "Content-Encoding", "Content-Range"],
        *["X-Inverting-Proxy-User-ID", "x_inverting_proxy_error"],
    ],
)
def test_a_trailer_that_frames_routes_or_authenticates_does_not_travel(name: str) -> None:
    assert list(allowed_trailers(Headers([(name, "x"), ("X-Digest", "y")]))) == [("X-Digest", "y")]
