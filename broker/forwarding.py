"""Which header fields travel on, and which are ours to set: one set of rules for both shells, both directions."""

from dataclasses import dataclass, replace
from typing import Final

from wire.headers import EndToEnd, Headers, allowed_trailers, normalise, without_prefixed
from wire.http1 import RequestHead, ResponseHead
from wire.protocol import ERROR, OWNED_PREFIX

# Fields that a platform in front of the proxy sets and a client must not: in every spelling a backend may confuse.
# "x-forwarded-" and "forwarded" are set anew below, from what the proxy knows itself.
_NEVER_FROM_CLIENTS: Final = (
    OWNED_PREFIX,
    "x-appengine-",
    "x-google-",
    "x-goog-",
    "x-cloud-trace-context",
    "x-forwarded-",
    "forwarded",
)

# Fields of an answer that mean something to the platform in front of the proxy (App Engine would serve a stored blob,
# or hand the request to another address) and so are not a backend's to set.
_NEVER_FROM_BACKENDS: Final = (OWNED_PREFIX, "x-appengine-", "x-google-")

_FROM_CLIENTS: Final = EndToEnd(allows=lambda name: not normalise(name).startswith(_NEVER_FROM_CLIENTS))
_FROM_BACKENDS: Final = EndToEnd(
    allows=lambda name: name.lower() == ERROR.lower() or not normalise(name).startswith(_NEVER_FROM_BACKENDS)
)

# The cookies that log a user in to the proxy itself: App Engine's Users API, the stand-alone proxy, and Identity-Aware
# Proxy. The names of the latter two go on behind these (`GCP_IAP_UID`, `__Host-GCP_IAP_AUTH_TOKEN_…`).
_OWNED_COOKIES: Final = ("SACSID", "ACSID")
_OWNED_COOKIE_PREFIXES: Final = ("GCP_IAP", "GCP_IAAP", "__HOST-GCP_IAP", "INVERTING-PROXY-", "__HOST-INVERTING-PROXY-")


@dataclass(frozen=True, slots=True)
class Client:
    """What the proxy knows itself of the peer that sent a request; empty where it knows nothing."""

    address: str
    scheme: str
    host: str = ""
    """The host that was asked for, where a proxy in front says so; else it is that of `Host`."""


def in_origin_form(head: RequestHead) -> RequestHead:
    """A request for an absolute URL as the one for its path, at the host that the URL names: that one counts, whatever
    `Host` says (RFC 9112 section 3.2.2)."""
    if head.target.startswith("/") or "://" not in head.target:
        return head
    authority, slash, rest = head.target.partition("://")[2].partition("/")
    host, question, query = authority.partition("?")
    headers = Headers((name, host if name.lower() == "host" else value) for name, value in head.headers)
    return replace(head, target=f"/{question}{query}{slash}{rest}" if question else f"/{rest}", headers=headers)


def forwarded_request(head: RequestHead, client: Client) -> RequestHead:
    """The head as the backend shall see it: end-to-end fields only, no forged identity, no log-in of the proxy's,
    and `X-Forwarded-For`, `-Proto` and `-Host` set from what the proxy knows."""
    kept = _FROM_CLIENTS.pairs_of(head.headers)
    if "Cookie" in head.headers:
        kept = _without_owned_cookies(kept)
    known = (
        ("X-Forwarded-For", client.address),
        ("X-Forwarded-Proto", client.scheme),
        ("X-Forwarded-Host", client.host or head.headers.get("Host") or ""),
    )
    kept += [field for field in known if field[1]]
    return RequestHead(head.method, head.target, Headers(kept), head.length)


def forwarded_trailers(trailers: Headers) -> Headers:
    """The trailer fields of a request as the backend shall see them: none that a client must not set in a head."""
    return without_prefixed(allowed_trailers(trailers), *_NEVER_FROM_CLIENTS)


def forwarded_response(head: ResponseHead) -> ResponseHead:
    """The head as the client shall see it: end-to-end fields only; of our own fields only the agent's error reason,
    which the agent removes from what its backend says."""
    kept = _FROM_BACKENDS.pairs_of(head.headers)
    if "Set-Cookie" in head.headers:
        kept = [field for field in kept if not (field[0].lower() == "set-cookie" and _is_owned_cookie(field[1]))]
    return ResponseHead(head.status, Headers(kept), head.length)


def _is_owned_cookie(pair: str) -> bool:
    # Some browsers keep, and send, `=name=value` as a cookie without a name and of that value: `name=value`.
    name = pair.strip().lstrip("=").partition("=")[0].strip().upper()
    return name in _OWNED_COOKIES or name.startswith(_OWNED_COOKIE_PREFIXES)


def _without_owned_cookies(fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in fields:
        if name.lower() == "cookie" and any(_is_owned_cookie(pair) for pair in value.split(";")):
            value = ";".join(pair for pair in value.split(";") if not _is_owned_cookie(pair)).strip()
            if not value:
                continue
        pairs.append((name, value))
    return pairs
