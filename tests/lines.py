"""Lines that programs say, as they stand in their source, and what docs/troubleshooting.md quotes of them."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]

_PLACEHOLDER: Final = re.compile(r"%[.\d]*[sdgf]")


def template_of(node: ast.AST | None) -> str | None:
    """A text in the source, `…` for each value in it."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return _PLACEHOLDER.sub("…", node.value) if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


@cache
def quotes(start: str, end: str) -> tuple[str, ...]:
    """The lines that the guide quotes between two of its headings."""
    guide = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    section = guide[guide.index(f"## {start}\n") : guide.index(f"## {end}\n")]
    return tuple(" ".join(quote.split()) for quote in re.findall(r'\*"(.+?)"\*', section, re.DOTALL))


def is_of(quote: str, line: str) -> bool:
    """True if the parts of the quote stand in the line, in this order."""
    parts = [part for part in re.split(r"\s*…\s*", quote) if part]
    return re.search(".*".join(map(re.escape, parts)), line, re.DOTALL) is not None


def letters_of(text: str) -> int:
    """How much of a text does not depend on values."""
    return len(re.findall("[a-z]", text))
