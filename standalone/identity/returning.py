"""Where somebody goes after signing in: to the page that he wanted, on this proxy and nowhere else. Pure."""

import re
from typing import Final

HOME: Final = "/"

# One slash, and then neither a slash nor a backslash, which browsers read as one: `//evil` and `/\evil` are other
# hosts. Tabs and line ends, which browsers leave out of a URL, are not visible ASCII.
_TARGET = re.compile(r"/(?![/\\])[!-\[\]-~]*")


def return_target(target: str) -> str:
    """The target if it is one of this proxy's, else the page at its root."""
    return target if _TARGET.fullmatch(target) else HOME
