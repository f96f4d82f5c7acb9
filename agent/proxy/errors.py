"""What the proxy may answer to a call, told apart by what the agent does about it."""

import re
from typing import Final
from urllib.parse import urlsplit

from wire.http1 import ResponseHead
from wire.protocol import ERROR


class ProxyError(Exception):
    """The proxy did not do what it was asked for; the text is for the operator."""


class ProxyUnavailable(ProxyError):
    """Not now: asking again may help."""


class Unauthorized(ProxyError):
    """The proxy does not accept the credentials; a new token may help, once."""


class Forbidden(ProxyError):
    """The proxy knows who calls, and that is not somebody who may serve this backend."""


class NotAProxy(ProxyError):
    """What answers does not speak the protocol."""


class Redirected(ProxyError):
    """The proxy's URL leads elsewhere: credentials are never sent there, the operator has to decide."""


class Gone(ProxyError):
    """Nobody waits for this exchange any more, or another agent has it."""


class Unidentified(ProxyUnavailable):
    """There is no token to show to the proxy now."""


_REASON: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
_IAP_ANSWERED: Final = "X-Goog-IAP-Generated-Response"
_IAP: Final = "Identity-Aware Proxy"
_IAP_ADVICE: Final = "give its OAuth client ID as --iap-client-id, and this agent's account the role to pass it"
_TOKEN_ADVICE: Final = (
    "with a token in a file: is it one that the proxy lists? With Google's credentials: "
    "is the right account active (`gcloud auth list`), and --oidc-audience what the proxy expects (OIDC_AUDIENCE)?"
)
_ACCOUNT_ADVICE: Final = (
    "is this agent's account the backendUser that the backend is registered with, and --backend its id?"
)

_CLAIMED_ELSEWHERE: Final = "claimed-elsewhere"
_GONE: Final = frozenset({404, 409, 410})
_RETRYABLE: Final = frozenset({408, 425, 429})


def require_success(head: ResponseHead, *, target: str) -> None:
    """Raise the `ProxyError` that fits any answer but a success; `target` is what was asked for."""
    status = head.status
    if 200 <= status < 300:
        return
    said = f"the proxy answered {urlsplit(target).path} with status {status}{_reason(head)}"
    if head.headers.get(_IAP_ANSWERED) == "true" or (status == 302 and _is_login(head)):
        raise Unauthorized(f"{said}: it is behind a login ({_IAP}), {_IAP_ADVICE}")
    if status == 401:
        raise Unauthorized(f"{said}: it does not accept this agent's credentials for this backend; {_TOKEN_ADVICE}")
    if status == 403:
        raise Forbidden(f"{said}: {_ACCOUNT_ADVICE}")
    if status == 407:
        raise ProxyError(f"{said}: the outbound proxy of HTTP_PROXY wants http://USER:PASSWORD@…")
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


def refused(reason: str) -> ProxyError:
    """Why one answer of several was not taken; `reason` is the proxy's word for it."""
    said = f"the proxy did not take it ({reason})" if _REASON.fullmatch(reason) else "the proxy did not take it"
    return Gone(said) if reason == _CLAIMED_ELSEWHERE else ProxyError(said)


def require_no_page(head: ResponseHead, body: bytes) -> None:
    """Raise `NotAProxy` for an answer that is a page for people, like that of a login, where a list was asked for."""
    kind = (head.headers.get("Content-Type") or "").lower()
    if kind.startswith(("text/html", "application/xhtml")) or body.lstrip()[:1] == b"<":
        raise NotAProxy(
            "the proxy answered with a page, not a list: is --proxy the agent service? The address of the users'"
            " service, or a login in front, answers so"
        )


def _reason(head: ResponseHead) -> str:
    """The proxy's reason for machines, if it gives one. Nothing else of an answer is shown: it may quote a token."""
    reason = head.headers.get(ERROR) or ""
    return f" ({reason})" if _REASON.fullmatch(reason) else ""


def _is_login(head: ResponseHead) -> bool:
    try:
        return urlsplit(head.headers.get("Location") or "").hostname == "accounts.google.com"
    except ValueError:
        return False
