"""The frame as HTML: `frame.html`, filled in. It asks for nothing but the page below the banner."""

import re
from html import escape
from typing import Final

from agent.banner.templates import fill, read_template

_HEIGHT: Final = re.compile(r"0|[0-9]{1,5}(?:\.[0-9]{1,3})?(?:px|em|rem|vh|%)")


def is_valid_height(text: str) -> bool:
    """True for a height as in CSS: a number with px, em, rem, vh or %, or 0."""
    return _HEIGHT.fullmatch(text) is not None


class Frame:
    """The page that holds the banner and the frame. All values but `banner`, which is HTML, are plain text.

    Raises `ValueError` for a height that is none.
    """

    def __init__(self, *, banner: str, height: str, favicon_url: str) -> None:
        if not is_valid_height(height):
            raise ValueError("height: not a number with px, em, rem, vh or %")
        icon = f'<link rel="icon" id="inverting-proxy-icon" href="{escape(favicon_url)}">' if favicon_url else ""
        self._values = {"banner": banner, "height": height, "icon": icon}
        self._template = read_template("frame.html")

    def render(self, target: str) -> bytes:
        """The page for a request target. Only browsers without scripts need it: others know it better."""
        # `/.` in front: a target that begins with two slashes would name another host.
        address = f"/.{target}" if target.startswith("/") else "/"
        return fill(self._template, {**self._values, "target": escape(address)}).encode()
