"""What keeps a browser with one agent: a cookie of ours that names the agent, or else who its user is."""

import hashlib
import re
from functools import lru_cache
from typing import Final

from wire.headers import Headers

COOKIE: Final = "inverting-proxy-agent"
"""Begins as all cookies of the proxy do, and so travels neither to backends nor from them."""

_TAG: Final = re.compile(r"[0-9a-f]{16}")


@lru_cache(maxsize=1024)
def tag_of(agent_id: str) -> str:
    """Names an agent to browsers, which need not know what it is called."""
    return hashlib.blake2b(agent_id.encode(), digest_size=8).hexdigest()


def is_tag(affinity: str) -> bool:
    """True for what can be the tag of an agent."""
    return _TAG.fullmatch(affinity) is not None


def affinity_of(headers: Headers, end_user: str) -> str:
    """The tag in the cookie; without one the user; empty for a browser that is new and whose user is unknown."""
    for field in headers.get_all("Cookie"):
        for pair in field.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == COOKIE and is_tag(value):
                return value
    return end_user


def set_cookie(agent_id: str, *, is_secure: bool) -> tuple[str, str]:
    """The field that keeps a browser with this agent until it is closed. The cookie allows nothing."""
    secure = "; Secure" if is_secure else ""
    return "Set-Cookie", f"{COOKIE}={tag_of(agent_id)}; Path=/; HttpOnly; SameSite=Lax{secure}"
