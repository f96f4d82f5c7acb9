"""`PageScript`: `shim.js` with the shim's path filled in, to be put into pages."""

import json
from dataclasses import dataclass
from importlib import resources
from typing import Final

from agent.shim.protocol import shim_prefix

_PLACEHOLDER: Final = '"@SHIM_PATH@"'
"""A string literal of the script, quotes included: a JavaScript string takes its place."""

_ESCAPED: Final = {ord(character): f"\\u{ord(character):04x}" for character in "<>&"}
"""What must not stand in a script that stands in a page: it would end it (`</script>`), or comment it out (`<!--`)."""


@dataclass(frozen=True)
class PageScript:
    """A script for one shim path; the same path gives the same bytes, and so one hash for a security policy."""

    body: bytes
    """UTF-8, in fact ASCII, so that a page in any encoding may contain it; holds no `<!--` and no `</script`."""

    @classmethod
    def for_path(cls, shim_path: str) -> "PageScript":
        """The script of the agent that answers under `shim_path`. Raises `ValueError` for what is no path."""
        source = resources.files(__package__).joinpath("shim.js").read_text(encoding="utf-8")
        path = shim_prefix(shim_path).removesuffix("/")
        return cls(_without_comments(source).replace(_PLACEHOLDER, _encode_literal(path), 1).encode("ascii"))


def _without_comments(source: str) -> str:
    """The source without indentation, empty lines, and lines that are comments: two thirds of it, for every page.

    Formatted as it is (by prettier), a line that begins with `/*`, `*` or `//` is a comment, and no literal has a line
    of its own.
    """
    lines = (line.strip() for line in source.splitlines())
    return "".join(f"{line}\n" for line in lines if line and not line.startswith(("/*", "*", "//")))


def _encode_literal(text: str) -> str:
    """A JavaScript string literal in ASCII (JSON is one) that is safe in HTML, too."""
    return json.dumps(text).translate(_ESCAPED)
