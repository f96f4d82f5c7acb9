"""docs/troubleshooting.md has every line that the start of the stand-alone proxy and its log may say, in the words in
which it says them."""

import ast
from collections.abc import Iterator
from functools import cache
from typing import Final

import pytest

from tests.lines import ROOT, is_of, letters_of, quotes, template_of

OURS: Final = ("What the stand-alone proxy says", "make")
"""The headings between which the guide quotes the proxy."""
SOURCES: Final = [
    *(ROOT / "standalone").rglob("*.py"),
    ROOT / "stores" / "sqlite" / "registrations.py",
    ROOT / "stores" / "sqlite" / "schema.py",
    ROOT / "stores" / "sqlite" / "sign_outs.py",
]
LEVELS: Final = {"warning", "error", "exception"}
ERRORS: Final = {"ListenError", "SettingsError", "TokenFileError", "UnusableDatabase"}

SPEAKING: Final = {"advice", "secrets", "session_keys", "sources", "sqlite_schema", "watched"}
"""Modules whose every result and every `ValueError` is said to the operator."""

_TELLING: Final = 8
"""Letters of a line that are always there: with fewer of them nobody can look it up."""
_SHARE: Final = 3
"""A quote has at least one letter in so many of its line: else it could be of any."""


@cache
def texts() -> set[str]:
    """Every text in the proxy."""
    return {
        text for path in SOURCES for node in ast.walk(ast.parse(path.read_text("utf-8"))) if (text := template_of(node))
    }


def lines() -> Iterator[str]:
    """What the proxy says to its operator."""
    for path in SOURCES:
        module = ast.parse(path.read_text("utf-8"))
        constants = {ast.unparse(node.target): node.value for node in module.body if isinstance(node, ast.AnnAssign)}
        for node in ast.walk(module):
            for said in said_by(node, is_speaking=path.stem in SPEAKING):
                text = template_of(constants.get(ast.unparse(said), said))
                if text and letters_of(text) >= _TELLING:
                    yield text


def said_by(node: ast.AST, *, is_speaking: bool) -> list[ast.expr]:
    if isinstance(node, ast.Call) and is_telling(node.func, {*ERRORS, *(["ValueError"] if is_speaking else [])}):
        return node.args
    if is_speaking and isinstance(node, ast.Yield | ast.Return) and node.value:
        return [node.value]
    return []


def is_telling(function: ast.expr, errors: set[str]) -> bool:
    if isinstance(function, ast.Attribute):
        return function.attr in LEVELS
    return isinstance(function, ast.Name) and function.id in errors


def says_enough(quote: str, line: str) -> bool:
    return is_of(quote, line) and letters_of(quote) * _SHARE >= letters_of(line)


@pytest.mark.parametrize("line", sorted(set(lines())))
def test_every_line_for_the_operator_is_in_the_guide(line: str) -> None:
    assert any(says_enough(quote, line) for quote in quotes(*OURS))


@pytest.mark.parametrize("quote", sorted(set(quotes(*OURS))))
def test_every_line_that_the_guide_quotes_is_one_of_the_proxys(quote: str) -> None:
    assert any(is_of(quote, text) for text in texts())
