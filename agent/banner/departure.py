"""A page that leads out of the frame, for redirects to other sites: a login page does not show itself in a frame."""

import re
from functools import cache
from html import escape
from typing import Final
from urllib.parse import urljoin, urlsplit

from agent.banner.templates import fill, read_template
from wire.http1 import RequestHead, ResponseHead

_NOT_ASCII: Final = re.compile(r"[\x80-\xff]")  # Fields are octets, and a URL in them is UTF-8.


def departure_of(request: RequestHead, response: ResponseHead) -> str | None:
    """The URL of another site that an answer sends the browser to with a GET; None for every other answer.

    Whether the proxy is reached by http or https is not known here: another host or port is another site.
    """
    location = response.headers.get("Location")
    is_redirect = response.status in (301, 302, 303) or (response.status in (307, 308) and request.method == "GET")
    if location is None or not is_redirect:
        return None
    host = (request.headers.get("Host") or "").lower()
    try:
        url = urlsplit(urljoin(f"https://{host}/", location))
        is_elsewhere = url.scheme in ("http", "https") and bool(url.netloc) and url.netloc.lower() != host
    except ValueError:
        return None
    # As it stands: without a scheme it has that of the page.
    return _NOT_ASCII.sub(lambda match: f"%{ord(match.group()):02X}", location) if is_elsewhere else None


def render_departure(address: str) -> bytes:
    """The page for a URL."""
    return fill(_template(), {"address": escape(address)}).encode()


@cache
def _template() -> str:
    return read_template("departure.html")
