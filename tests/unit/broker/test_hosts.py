"""Names of hosts, and which of them a registration means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.hosts import closest_fit, fit_of, host_of, pattern_of

LABELS = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,8}[a-z0-9_])?", fullmatch=True)
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
PORTS = st.sampled_from(["", ":", ":80", ":8443"])
PATTERNS = st.builds(lambda wild, name: wild + name, st.sampled_from(["", "*."]), NAMES)


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("example.org", "example.org"),
        ("Example.ORG", "example.org"),
        ("example.org:8080", "example.org"),
        ("example.org:", "example.org"),
        ("example.org.", "example.org"),
        ("example.org.:443", "example.org"),
        ("localhost", "localhost"),
        ("my_app-1.example.org", "my_app-1.example.org"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("192.0.2.7:80", "192.0.2.7"),
        ("[::1]", "[::1]"),
        ("[2001:DB8:0:0::1]:8080", "[2001:db8::1]"),
    ],
)
def test_a_host_has_one_spelling(authority: str, host: str) -> None:
    assert host_of(authority) == host


@pytest.mark.parametrize(
    "authority",
    ["", ":80", ".", "..", "a..b", "-a.org", "a-.org", "a b", "b\xfccher.example", "*.example.org", "user@example.org"]
    + [
        "a/b",
        "a%2eb",
        "::1",
        "[::1",
        "[::g]",
        "[1.2.3.4]",
        "[fe80::1%eth0]",
        "example.org:80:80",
        "x" * 64,
        "a." * 130,
    ],
)
def test_what_names_no_host_is_none(authority: str) -> None:
    assert host_of(authority) == ""


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("example.org", "example.org"),
        ("*.Example.org.", "*.example.org"),
        ("*.org", "*.org"),
        ("[::0:1]", "[::1]"),
        ("example.org:80", None),
        ("*", None),
        ("*.", None),
        ("*.*.org", None),
        ("a.*.org", None),
        ("*a.org", None),
        ("*.[::1]", None),
        ("b\xfccher.example", None),
        ("", None),
    ],
)
def test_a_registration_lists_names_and_wildcards_for_all_below_a_name(text: str, pattern: str | None) -> None:
    assert pattern_of(text) == pattern


@pytest.mark.parametrize(
    ("pattern", "host", "fits"),
    [
        ("a.org", "a.org", True),
        ("a.org", "b.a.org", False),
        ("*.a.org", "b.a.org", True),
        ("*.a.org", "c.b.a.org", True),
        ("*.a.org", "a.org", False),
        ("*.a.org", ".a.org", False),
        ("*.a.org", "ba.org", False),
        ("[::1]", "[::1]", True),
        ("a.org", "", False),
        ("*.a.org", "", False),
    ],
)
def test_a_wildcard_fits_what_lies_below_it_and_a_name_itself(pattern: str, host: str, fits: bool) -> None:
    assert (fit_of((pattern,), host) is not None) == fits


def test_the_fit_is_the_closest_of_the_patterns() -> None:
    hosts = ("*.org", "*.a.org", "b.a.org")
    fits = [fit_of(patterns, "b.a.org") for patterns in [(), hosts[:1], hosts[:2], hosts, hosts[::-1]]]

    assert fits == [0, 4, 6, 7, 7]


@given(NAMES, PORTS, st.sampled_from(["", "."]), st.booleans())
def test_neither_case_nor_port_nor_the_last_dot_make_another_host(name: str, port: str, dot: str, upper: bool) -> None:
    assert host_of((name.upper() if upper else name) + dot + port) == name


@given(st.text(max_size=20))
def test_the_spelling_of_a_host_is_its_own(text: str) -> None:
    assert host_of(host_of(text)) == host_of(text)
    assert pattern_of(pattern_of(text) or "") == pattern_of(text)


@given(NAMES, st.lists(PATTERNS, max_size=4))
def test_an_exact_name_comes_before_every_wildcard_and_those_before_none(name: str, others: list[str]) -> None:
    wildcards = tuple(pattern for pattern in others if pattern.startswith("*"))
    exact, wild = fit_of((name,), name), fit_of(wildcards, name) if wildcards else None

    assert exact is not None
    assert exact > (wild or 0)
    assert wild is None or wild > 0


@given(NAMES, LABELS)
def test_a_name_fits_the_wildcard_of_all_its_parents(name: str, label: str) -> None:
    assert fit_of((f"*.{name}",), f"{label}.{name}") == len(name) + 1
    assert fit_of((f"*.{name}",), f"x.{label}.{name}") == len(name) + 1


@given(st.one_of(NAMES, st.just("")), st.lists(PATTERNS, max_size=8))
def test_of_many_patterns_the_closest_is_looked_up(host: str, patterns: list[str]) -> None:
    assert closest_fit(frozenset(patterns), host) == (fit_of(tuple(patterns), host) or 0)


@pytest.mark.parametrize(
    ("host", "fit"), [("a.b.org", 7), ("x.a.b.org", 6), ("c.org", 4), ("org", 0), ("[::1]", 5), ("", 0)]
)
def test_of_many_patterns_an_exact_one_comes_before_the_longest_wildcard(host: str, fit: int) -> None:
    assert closest_fit({"a.b.org", "*.b.org", "*.org", "[::1]"}, host) == fit
