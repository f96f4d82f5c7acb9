"""docs/troubleshooting.md has every line with which the agent ends or complains, in the words in which it says them."""

import ast
from collections.abc import Iterator
from functools import cache
from typing import Final

import pytest

from tests.lines import ROOT, is_of, letters_of, quotes, template_of

ERRORS: Final = {
    "CredentialsError", "FlagError", "MonitoringError", "NotAProxy", "NotHttp2", "NotWritten", "ProxyError",
    "Redirected", "TooManySessions", "Unauthorized", "UnusableCredentials", "give_up",
}  # fmt: skip
LEVELS: Final = {"warning", "error", "critical", "exception"}

OTHERS: Final = {
    "certificate verify failed",
    "Tunnel connection failed: 407",
    "--status-port: Address already in use",
    "the backend refused the websocket: 403 Forbidden",
}
"""Lines of operating systems, libraries and backends."""

_TELLING: Final = 8
"""Letters of a line that are always there: with fewer of them nobody can look it up."""


@cache
def texts() -> set[str]:
    """Every text in the agent, and in the start of `agent.pyz`."""
    return set(_texts())


def _texts() -> Iterator[str]:
    for path in [*(ROOT / "agent").rglob("*.py"), ROOT / "scripts" / "pyz_start.py"]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.expr) and (text := template_of(node)):
                yield text


def error_lines() -> set[str]:
    """What the agent says when something goes wrong."""
    found = set()
    for path in (ROOT / "agent").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and node.args and is_error(node.func):
                found |= {text for argument in node.args if (text := template_of(argument))}
    return {text for text in found if letters_of(text) >= _TELLING}


def is_error(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute):
        return function.attr in LEVELS
    return isinstance(function, ast.Name) and function.id in ERRORS


AGENTS: Final = ("What the agent says", "What administrators see")
"""The headings between which the guide quotes the agent."""


def test_a_quote_is_of_a_line_that_has_its_parts_in_order() -> None:
    assert is_of("no … of …: it broke", "no … of …, …: it broke, …")
    assert not is_of("it broke … no", "no … of …, …: it broke, …")
    assert not is_of("it breaks", "it broke")


@pytest.mark.parametrize("line", sorted(error_lines()))
def test_every_error_line_of_the_agent_is_in_the_guide(line: str) -> None:
    assert any(is_of(quote, line) for quote in quotes(*AGENTS))


@pytest.mark.parametrize("quote", sorted(set(quotes(*AGENTS)) - OTHERS))
def test_every_line_that_the_guide_quotes_is_one_of_the_agents(quote: str) -> None:
    assert any(is_of(quote, text) for text in texts())
