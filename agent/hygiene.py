"""The header fields that pass between proxy and backend; the agent does not rely on the proxy for any of this."""

from dataclasses import dataclass
from typing import Final, Literal

from agent.messages import Request, Response
from wire.headers import EndToEnd, Headers, normalise
from wire.http1 import RequestHead, ResponseHead
from wire.protocol import OWNED_PREFIX, USER_ID

ForwardedHeaders = Literal["auto", "keep", "drop"]
"""What becomes of `Forwarded` and `X-Forwarded-*`, with which a client may say what it likes of itself.

`auto`: they pass where the proxy says that it has set them anew. From a proxy that does not (the original), they are
the client's own and unverified: they are dropped, and what is known otherwise is set: `-Proto` from the URL under which
the proxy is known to the agent, `-Host` from `Host`, `-For` not at all. `keep`: they pass, whoever has set them, as the
original's agent does; right where something in front of the original proxy sets them. `drop`: none passes, none is set.
"""

_FORWARDED: Final = ("x-forwarded-", "forwarded")

_NOT_OURS: Final = EndToEnd(allows=lambda name: not normalise(name).startswith(OWNED_PREFIX))
_NOT_FORWARDED: Final = EndToEnd(allows=lambda name: not normalise(name).startswith((OWNED_PREFIX, *_FORWARDED)))


@dataclass(frozen=True, slots=True)
class RequestRules:
    """What a request may say to the backend."""

    forwards_user_id: bool = False
    strips_credentials: bool = False
    forwarded_headers: ForwardedHeaders = "auto"
    users_scheme: str = "https"
    """The scheme of the proxy's URL."""
    added: tuple[tuple[str, str], ...] = ()
    """Fields that every request gets, in place of its own of these names."""


def clean_request(request: Request, rules: RequestRules) -> Request:
    """The request as the backend gets it: end-to-end fields, none of ours but the user that the proxy verified.

    What identifies somebody is added last: a client could otherwise erase it by naming it in `Connection`.
    """
    keeps_forwarded = rules.forwarded_headers == "keep" or (
        rules.forwarded_headers == "auto" and request.is_forwarded_set
    )
    headers = Headers((_NOT_OURS if keeps_forwarded else _NOT_FORWARDED).pairs_of(request.head.headers))
    if rules.strips_credentials:
        headers = headers.without("Authorization")
    if not keeps_forwarded and rules.forwarded_headers == "auto":
        known = [("X-Forwarded-Proto", rules.users_scheme), ("X-Forwarded-Host", headers.get("Host") or "")]
        headers = headers.adding(*((name, value) for name, value in known if value))
    headers = _with_fields(headers, rules.added)
    if rules.forwards_user_id and request.user_id:
        headers = headers.adding((USER_ID, request.user_id))
    return request.with_head(RequestHead(request.head.method, request.head.target, headers, request.head.length))


def _with_fields(headers: Headers, fields: tuple[tuple[str, str], ...]) -> Headers:
    if not fields:
        return headers
    names = {normalise(name) for name, _ in fields}
    return headers.where(lambda name: normalise(name) not in names).adding(*fields)


def clean_response(response: Response) -> Response:
    """The backend's answer as it travels on: end-to-end fields, none of ours."""
    headers = Headers(_NOT_OURS.pairs_of(response.head.headers))
    return response.with_head(ResponseHead(response.head.status, headers, response.head.length))


def with_host(headers: Headers, host: str) -> Headers:
    """The fields with another `Host`, at the place of the one before."""
    return Headers((name, host if name.lower() == "host" else value) for name, value in headers)
