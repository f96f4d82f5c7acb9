"""What kind of request it is that somebody makes who is not signed in, or who comes from another site. Pure.

A page that somebody opens can be sent to sign in; a script's request cannot, because the provider's page would be its
answer. Browsers say which it is: https://www.w3.org/TR/fetch-metadata/
"""

from collections.abc import Collection
from typing import Final

from wire.headers import Headers, connection_options
from wire.http1 import RequestHead

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that change nothing (RFC 9110 section 9.2.1)."""


def is_navigation(head: RequestHead) -> bool:
    """True for a page that somebody opens; by what old browsers say, where Fetch Metadata is missing."""
    if head.method != "GET" or wants_upgrade(head):
        return False
    mode = head.headers.get("Sec-Fetch-Mode")
    if mode is not None:
        return mode == "navigate"
    accept = ",".join(head.headers.get_all("Accept")).lower()
    return "text/html" in accept and "X-Requested-With" not in head.headers


def wants_upgrade(head: RequestHead) -> bool:
    """True for the opening of a websocket, and of anything else that is no request any more."""
    return "Upgrade" in head.headers and "upgrade" in connection_options(head.headers)


def is_foreign_change(head: RequestHead, *, origin: str, allowed: Collection[str] = ()) -> bool:
    """True when a page of another origin than ours makes a browser change something, or open a websocket.

    Its user's cookie says who he is, not that he wants it. `origin` is ours, as browsers write it: `https://host`;
    `allowed` are others that may. Programs that are no browsers say nothing of origins, and nobody can lead them.
    """
    site = head.headers.get("Sec-Fetch-Site")
    if (head.method in SAFE and not wants_upgrade(head)) or site in ("same-origin", "none"):
        return False  # a page of ours that tells nobody where it is from has the origin `null`
    origins = head.headers.get_all("Origin")
    if origins:
        return len(origins) > 1 or origins[0].lower() not in {origin.lower(), *allowed}
    return site is not None


def form_fields(headers: Headers) -> bool:
    """True where the body is a form as browsers send it by themselves."""
    content_type = (headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    return content_type == "application/x-www-form-urlencoded"
