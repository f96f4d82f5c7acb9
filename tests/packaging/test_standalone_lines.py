"""What docs/troubleshooting.md quotes of the stand-alone proxy is what it says; and lines about its doors are there."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
DOORS: Final = ("connections/listeners", "connections/fronted", "connections/tls", "process/service_manager")
LEVELS: Final = {"warning", "error"}
ERRORS: Final = {"ListenError", "SettingsError"}

_PLACEHOLDER: Final = re.compile(r"%[.\d]*[sdgf]")


def template_of(node: ast.expr) -> str | None:
    """A text in the source, `…` for each value in it."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return _PLACEHOLDER.sub("…", node.value) if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


@cache
def texts() -> set[str]:
    """Every text in the proxy."""
    found = set()
    for path in (ROOT / "standalone").rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text("utf-8")))
        found |= {text for node in nodes if isinstance(node, ast.expr) and (text := template_of(node))}
    return found


def lines_about_doors() -> set[str]:
    found = set()
    for name in DOORS:
        for node in ast.walk(ast.parse((ROOT / "standalone" / f"{name}.py").read_text("utf-8"))):
            if isinstance(node, ast.Call) and node.args and is_telling(node.func):
                found |= {text for text in map(template_of, node.args) if text}
    return found


def is_telling(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute):
        return function.attr in LEVELS
    return isinstance(function, ast.Name) and function.id in ERRORS


@cache
def quotes() -> list[str]:
    """The lines that the guide quotes."""
    guide = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    ours = guide[guide.index("## What the stand-alone proxy says") : guide.index("## make\n")]
    return [" ".join(quote.split()) for quote in re.findall(r'\*"(.+?)"\*', ours, re.DOTALL)]


def is_of(quote: str, line: str) -> bool:
    """True if the parts of the quote stand in the line, in this order."""
    parts = [part for part in re.split(r"\s*…\s*", quote) if part]
    return re.search(".*".join(map(re.escape, parts)), line, re.DOTALL) is not None


@pytest.mark.parametrize("line", sorted(lines_about_doors()))
def test_every_line_about_doors_is_in_the_guide(line: str) -> None:
    assert any(is_of(quote, line) for quote in quotes())


@pytest.mark.parametrize("quote", sorted(set(quotes())))
def test_every_line_that_the_guide_quotes_is_one_of_the_proxys(quote: str) -> None:
    assert any(is_of(quote, text) for text in texts())
