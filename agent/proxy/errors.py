"""What the proxy may answer to a call, told apart by what the agent does about it."""

from typing import Final

from wire.http1 import ResponseHead


class ProxyError(Exception):
    """The proxy did not do what it was asked for; the text is for the operator."""


class ProxyUnavailable(ProxyError):
    """Not now: asking again may help."""


class Unauthorized(ProxyError):
    """The proxy does not accept the credentials; a new token may help, once."""


class Redirected(ProxyError):
    """The proxy's URL leads elsewhere: credentials are never sent there, the operator has to decide."""


class Gone(ProxyError):
    """Nobody waits for this exchange any more, or another agent has it."""


class CredentialsError(ProxyError):
    """There is no token to show to the proxy."""


_GONE: Final = frozenset({404, 409, 410})
_RETRYABLE: Final = frozenset({408, 425, 429})


def require_success(head: ResponseHead, *, target: str) -> None:
    """Raise the `ProxyError` that fits any answer but a success; `target` is what was asked for."""
    status = head.status
    if 200 <= status < 300:
        return
    said = f"the proxy answered {target} with status {status}"
    if status == 401:
        raise Unauthorized(f"{said}: it does not accept this agent's credentials for this backend")
    if 300 <= status < 400:
        location = (head.headers.get("Location") or "nowhere").partition("?")[0]
        raise Redirected(
            f"{said}, a redirect to {location!r}: redirects are not followed, --proxy must name the target"
        )
    if status in _GONE:
        raise Gone(said)
    if status >= 500 or status in _RETRYABLE:
        raise ProxyUnavailable(said)
    raise ProxyError(said)
