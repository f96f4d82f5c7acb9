"""The flags about the banner above every page."""

import re
from dataclasses import dataclass
from typing import Final

from agent.commandline.flags import Flag
from agent.settings.group import Group


@dataclass(frozen=True, slots=True)
class BannerSettings(Group):
    """What the agent was told about the banner."""

    inject_banner: str
    """HTML; empty for no banner."""
    banner_height: str
    """A length of CSS."""
    favicon_url: str
    """Empty for the page's own."""


def _parse_length(text: str) -> str:
    if not re.fullmatch(r"\d{1,4}(\.\d{1,3})?(px|em|rem|ex|ch|vh|vw|%|pt|pc|cm|mm|in)", text, re.ASCII):
        raise ValueError("not a length")
    return text


def _parse_url(text: str) -> str:
    if not all("!" <= character <= "~" for character in text) or text.lower().startswith("javascript:"):
        raise ValueError("not a URL")
    return text


FLAGS: Final = (
    Flag("inject-banner", "", "HTML", "HTML to show above every page, which is then served inside a frame.", str),
    Flag("banner-height", "40px", "a CSS length such as 40px", "Height of the banner.", _parse_length),
    Flag("favicon-url", "", "a URL", "Icon of pages under the banner; the page's own without it.", _parse_url),
)
