"""The flags about the banner above every page."""

from dataclasses import dataclass
from typing import Final

from agent.banner.frame import is_valid_height
from agent.commandline.flags import Flag
from agent.settings.group import Group


@dataclass(frozen=True, slots=True)
class BannerSettings(Group):
    """What the agent was told about the banner."""

    inject_banner: str
    """HTML; empty for no banner."""
    banner_height: str
    """See `is_valid_height`."""
    favicon_url: str
    """Empty for the page's own."""


def _parse_height(text: str) -> str:
    if not is_valid_height(text):
        raise ValueError("not a height")
    return text


def _parse_url(text: str) -> str:
    if not all("!" <= character <= "~" for character in text) or text.lower().startswith("javascript:"):
        raise ValueError("not a URL")
    return text


FLAGS: Final = (
    Flag("inject-banner", "", "HTML", "HTML to show above every page, which is then served inside a frame.", str),
    Flag("banner-height", "40px", "a number with px, em, rem, vh or %", "Height of the banner.", _parse_height),
    Flag("favicon-url", "", "a URL", "Icon of pages under the banner; the page's own without it.", _parse_url),
)
