"""Which server has a path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.routing import Routes

ROUTES = Routes([("/api", "api"), ("/api/v2/", "v2"), ("/static", "files")], otherwise="main")


@pytest.mark.parametrize(
    ("target", "chosen"),
    [
        ("/", "main"),
        ("/api", "api"),
        ("/api/", "api"),
        ("/api?x=/static", "api"),
        ("/api#/static", "api"),
        ("/api/users/1", "api"),
        ("/apis", "main"),
        ("/api/v2", "v2"),
        ("/api/v2/", "v2"),
        ("/api/v2x", "api"),
        ("/API", "main"),
        ("/x/api", "main"),
        ("//api", "main"),
        ("/%61pi", "main"),
        ("/api/../static", "api"),
        ("/static/../api/v2", "files"),
        ("/?/api", "main"),
        ("*", "main"),
        ("http://example.com/api/x", "api"),
        ("http://example.com", "main"),
        ("http://example.com?/api", "main"),
        ("/x?u=http://a/api", "main"),
    ],
)
def test_the_longest_prefix_on_the_limits_of_segments(target: str, chosen: str) -> None:
    assert ROUTES.choose(target) == chosen


def test_the_root_may_be_mapped_too() -> None:
    routes = Routes([("/", "root")], otherwise="main")
    assert [routes.choose(target) for target in ("/", "/a/b", "http://x", "*")] == ["root", "root", "root", "main"]


@pytest.mark.parametrize("prefixes", [["api"], [""], ["/api", "/api/"], ["/", "/"]])
def test_a_map_that_is_none_is_refused(prefixes: list[str]) -> None:
    with pytest.raises(ValueError, match="not a path, or given twice"):
        Routes([(prefix, 0) for prefix in prefixes], otherwise=1)


SEGMENTS = st.lists(st.sampled_from(["a", "b", "ab", ""]), min_size=1, max_size=4)


@given(st.lists(SEGMENTS, max_size=5), SEGMENTS)
def test_it_agrees_with_the_definition(prefixes: list[list[str]], segments: list[str]) -> None:
    bare = {"/" + "/".join(prefix).rstrip("/") for prefix in prefixes}
    target = "/" + "/".join(segments)
    fitting = [
        prefix for prefix in bare if prefix == "/" or target == prefix or target.startswith(prefix.rstrip("/") + "/")
    ]
    routes = Routes([(prefix, prefix) for prefix in bare], otherwise="")
    assert routes.choose(target) == max(fitting, key=len, default="")
