"""The script as bytes: the path is filled in, and safely."""

import json
import re
from importlib import resources

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.shim.page.script import PageScript

_FILLED_IN = re.compile(r'^\}\)\((".*")\);$', re.MULTILINE)


def path_in(script: PageScript) -> str:
    """What the script is called with."""
    found = _FILLED_IN.search(script.body.decode("ascii"))
    assert found is not None
    path: str = json.loads(found[1])
    return path


@pytest.mark.parametrize("shim_path", ["websocket-shim", "/websocket-shim", "websocket-shim/", "//websocket-shim//"])
def test_slashes_around_the_path_make_no_difference(shim_path: str) -> None:
    assert path_in(PageScript.for_path(shim_path)) == "/websocket-shim"


def test_a_path_of_several_segments_keeps_them() -> None:
    assert path_in(PageScript.for_path("a/b")) == "/a/b"


@pytest.mark.parametrize("shim_path", ["", "/", "a/../b", "a b", "a?b", "a#b"])
def test_what_is_no_path_is_refused(shim_path: str) -> None:
    with pytest.raises(ValueError, match="a path of at least one segment"):
        PageScript.for_path(shim_path)


def test_the_placeholder_is_gone() -> None:
    assert b"@SHIM_PATH@" not in PageScript.for_path("shim").body


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="/.?#"), min_size=1))
@example("<!--<script>")
@example('");x')
def test_no_path_leaves_its_string_literal_or_the_script_element(shim_path: str) -> None:
    script = PageScript.for_path(shim_path)

    assert path_in(script) == f"/{shim_path}"
    assert re.search(rb"<!--|</?script", script.body, re.IGNORECASE) is None
    assert script.body.isascii()


def test_the_same_path_gives_the_same_bytes_and_another_path_others() -> None:
    assert PageScript.for_path("a") == PageScript.for_path("/a")
    assert PageScript.for_path("a") != PageScript.for_path("b")


def test_pages_get_the_script_without_its_comments() -> None:
    body = PageScript.for_path("shim").body.decode("ascii")
    assert re.search(r"^\s*(//|/?\*)", body, re.MULTILINE) is None
    assert "class" in body


def test_no_literal_of_the_script_goes_over_a_line() -> None:
    """A line of one could look like a comment, and would be left out."""
    source = resources.files("agent.shim.page").joinpath("shim.js").read_text("ascii")
    code = [line for line in source.splitlines() if not line.strip().startswith(("/*", "*", "//"))]
    assert [line for line in code if re.sub(r"\s//.*|/\^.*/\.test", "", line).count("`") % 2] == []
