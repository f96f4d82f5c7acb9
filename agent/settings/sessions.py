"""The flags about sessions: the backend's cookies stay in the agent."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from agent.commandline.flags import Flag, FlagError
from agent.commandline.parsing import boolean, duration, number, parse_lines
from agent.settings.group import Group


@dataclass(frozen=True, slots=True)
class SessionSettings(Group):
    """What the agent was told about sessions."""

    session_cookie_name: str
    """Empty for no sessions."""
    session_cookie_timeout: timedelta
    session_cookie_cache_limit: int
    session_cookie_passthrough: tuple[str, ...]
    disable_ssl_for_test: bool

    def check(self) -> None:
        if self.session_cookie_name and not self.session_cookie_timeout:
            raise FlagError("--session-cookie-timeout is '0': expected a duration, because every session has an end")


def _parse_name(text: str) -> str:
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]*", text):
        raise ValueError("not the name of a cookie")
    return text


FLAGS: Final = (
    Flag(
        "session-cookie-name",
        "",
        "the name of a cookie",
        "Keep the backend's cookies in the agent; the browser gets one cookie of this name.",
        _parse_name,
    ),
    duration("session-cookie-timeout", timedelta(hours=12), "How long a session lasts."),
    number(
        "session-cookie-cache-limit",
        "1000",
        "How many sessions there may be; the oldest go first.",
        least=1,
        most=1_000_000,
    ),
    Flag(
        "session-cookie-passthrough",
        "",
        "the name of a cookie",
        "A cookie of the backend that goes to the browser all the same; may be given several times.",
        parse_lines(_parse_name),
        repeats=True,
    ),
    boolean("disable-ssl-for-test", "The session cookie may travel over plain http. For tests."),
)
