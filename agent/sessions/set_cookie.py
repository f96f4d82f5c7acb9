"""One `Set-Cookie` field as browsers read it (RFC 6265bis section 5.6), and whether they keep it at all (5.7).

The origin is taken to be secure, whatever the backend speaks: a browser reaches it through the proxy, by https.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from agent.sessions.dates import parse_cookie_date
from agent.sessions.domains import domain_matches, is_public_suffix

_MAX_PAIR: Final = 4096
_MAX_ATTRIBUTE: Final = 1024
_LONGEST_LIFE: Final = timedelta(days=400)
_LONG_AGO: Final = datetime(1601, 1, 1, tzinfo=UTC)

_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_AGE: Final = re.compile(r"-?[0-9]+")
_WHITE: Final = " \t"


@dataclass(frozen=True, slots=True)
class SetCookie:
    """A cookie as its server asks for it. Strings hold latin-1 octets, as in `wire.headers`."""

    name: str
    """May be empty: then the cookie is sent as its value alone."""
    value: str
    domain: str = ""
    """Empty for the host alone that set it."""
    path: str = ""
    """Empty for the folder of the request that set it."""
    expires: datetime | None = None
    """None for the end of the session."""
    is_secure: bool = False
    same_site: str = ""
    """`strict`, `lax`, `none`, or empty for anything else."""
    is_partitioned: bool = False


def parse_set_cookie(text: str, *, now: datetime) -> SetCookie | None:
    """What a field asks for; None for one that browsers ignore, whoever sent it."""
    if _CONTROL.search(text):
        return None
    pair, *rest = text.split(";")
    name, separator, value = pair.partition("=")
    if not separator:
        name, value = "", pair
    name, value = name.strip(_WHITE), value.strip(_WHITE)
    if not name + value or len(name) + len(value) > _MAX_PAIR:
        return None
    if not name and "=" in value:
        # It would be sent as a cookie by another name. Chromium refuses it, the draft does not.
        return None
    attributes = _attributes(rest)
    cookie = SetCookie(
        name,
        value,
        domain=attributes.get("domain", "").removeprefix(".").lower(),
        path=attributes.get("path", "") if attributes.get("path", "").startswith("/") else "",
        expires=_expiry(attributes, now=now),
        is_secure="secure" in attributes,
        same_site=_same_site(attributes.get("samesite", "")),
        is_partitioned="partitioned" in attributes,
    )
    return cookie if _keeps_its_promises(cookie) else None


def accepted_domain(cookie: SetCookie, host: str) -> str | None:
    """The domain of a cookie that `host` sets: empty for the host alone, None for a cookie that it may not set."""
    domain = cookie.domain
    if not domain.isascii():
        return None
    if not domain:
        return ""
    if not domain_matches(host, domain):
        return None
    if is_public_suffix(domain):
        return "" if domain == host else None
    return domain


def _attributes(texts: list[str]) -> dict[str, str]:
    """The attributes by name in lower case; of one that is repeated the last, if it can be read."""
    found: dict[str, str] = {}
    for text in texts:
        name, _, value = text.partition("=")
        name, value = name.strip(_WHITE).lower(), value.strip(_WHITE)
        if len(value) <= _MAX_ATTRIBUTE and _can_be_read(name, value):
            found[name] = value
    return found


def _can_be_read(name: str, value: str) -> bool:
    if name == "expires":
        return parse_cookie_date(value) is not None
    if name == "max-age":
        return _MAX_AGE.fullmatch(value) is not None
    return True


def _expiry(attributes: dict[str, str], *, now: datetime) -> datetime | None:
    if "max-age" in attributes:
        seconds = int(attributes["max-age"])
        return now + min(timedelta(seconds=min(seconds, 10**9)), _LONGEST_LIFE) if seconds > 0 else _LONG_AGO
    date = parse_cookie_date(attributes.get("expires", ""))
    return min(date, now + _LONGEST_LIFE) if date else None


def _same_site(value: str) -> str:
    word = value.lower()
    return word if word in ("strict", "lax", "none") else ""


def _keeps_its_promises(cookie: SetCookie) -> bool:
    """False for a cookie whose name or attributes promise what its other attributes deny."""
    # A cookie without a name that is sent as `__Host-x=1` would pass for one with it.
    prefix = (cookie.name or cookie.value).lower()
    if prefix.startswith(("__secure-", "__host-")) and not (cookie.name and cookie.is_secure):
        return False
    if prefix.startswith("__host-") and (cookie.domain or cookie.path != "/"):
        return False
    return cookie.is_secure or not (cookie.same_site == "none" or cookie.is_partitioned)
