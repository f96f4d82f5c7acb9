"""One table: what went wrong → status, reason, who failed and what to do; and the answer that says so.

The words are for people who have never heard of exchanges. What an exception says itself is shown only where it speaks
of the caller's own request; all else is for the log.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape
from http import HTTPStatus
from typing import Final, Literal

from broker.errors import (
    BackendOffline,
    BrokenAnswer,
    ClaimedElsewhere,
    ConflictingBytes,
    DuplicateRequest,
    FixedBackend,
    NoAnswer,
    NotAllowed,
    Overloaded,
    StoreUnavailable,
    TooManyRequests,
    UnknownBackend,
    UnknownRequest,
)
from wire.errors import MalformedMessage, MessageTooLarge
from wire.headers import Headers
from wire.protocol import ERROR, TRACE_ID

Party = Literal["client", "proxy", "agent", "backend"]
Form = Literal["text", "html", "json"]
Rendered = tuple[int, Headers, bytes]
"""Status, fields and body of an answer; the framing is for the shell to add (none of the body for HEAD)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What a caller is told: one sentence, and details where the caller can use them."""

    status: int
    reason: str
    """For machines: the value of `X-Inverting-Proxy-Error`."""
    party: Party
    """Who failed."""
    text: str
    shows_cause: bool = False
    """True where the exception's own text is about the caller's own request, and so may be shown."""
    details: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


class Refusal(Exception):
    """A request refused for a reason of HTTP alone; carries its failure."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


def _retry_after(seconds: int) -> tuple[tuple[str, str], ...]:
    return (("Retry-After", str(seconds)),)


FAILURES: Final[Mapping[type[Exception], Failure]] = {
    UnknownBackend: Failure(
        status=404,
        reason=UnknownBackend.reason,
        party="proxy",
        text="No backend is registered with this proxy for you and this path: check the address, or ask the proxy's "
        "administrator to register the backend.",
    ),
    FixedBackend: Failure(
        status=409,
        reason=FixedBackend.reason,
        party="client",
        text="This backend stands in the settings of the proxy: change it there.",
    ),
    UnknownRequest: Failure(
        status=404,
        reason=UnknownRequest.reason,
        party="agent",
        text="The proxy does not wait for this request any more, or never did: drop it.",
    ),
    DuplicateRequest: Failure(
        status=503,
        reason=DuplicateRequest.reason,
        party="proxy",
        text="The proxy gave this request a name that is in use: send it again.",
        headers=_retry_after(1),
    ),
    NotAllowed: Failure(
        status=403,
        reason=NotAllowed.reason,
        party="client",
        text="The proxy knows who is calling, but this account may not do that: use another, or ask the proxy's "
        "administrator.",
        shows_cause=True,
    ),
    BackendOffline: Failure(
        status=503,
        reason=BackendOffline.reason,
        party="agent",
        text="The backend is registered, but none of its agents took the request: start an agent, or try again soon.",
        headers=_retry_after(5),
    ),
    Overloaded: Failure(
        status=503,
        reason=Overloaded.reason,
        party="proxy",
        text="The proxy has as many requests waiting as it takes: try again soon.",
        headers=_retry_after(5),
    ),
    TooManyRequests: Failure(
        status=429,
        reason=TooManyRequests.reason,
        party="client",
        text="You have as many requests under way as the proxy takes of one user: wait for some of them.",
        headers=_retry_after(1),
        shows_cause=True,
    ),
    ClaimedElsewhere: Failure(
        status=409,
        reason=ClaimedElsewhere.reason,
        party="agent",
        text="This request is not, or no longer, in the hands of this agent: drop it.",
    ),
    ConflictingBytes: Failure(
        status=409,
        reason=ConflictingBytes.reason,
        party="agent",
        text="These bytes do not continue or repeat the ones posted before: drop the answer.",
    ),
    BrokenAnswer: Failure(
        status=502,
        reason=BrokenAnswer.reason,
        party="backend",
        text="The backend or its agent broke off, or sent what is not an HTTP answer: look into the agent's log.",
        shows_cause=True,
    ),
    NoAnswer: Failure(
        status=504,
        reason=NoAnswer.reason,
        party="backend",
        text="The time for this request is over: try again, and see whether the backend is slow or down.",
        shows_cause=True,
    ),
    StoreUnavailable: Failure(
        status=503,
        reason=StoreUnavailable.reason,
        party="proxy",
        text="A service that the proxy depends on does not answer: try again soon.",
        headers=_retry_after(10),
    ),
    MalformedMessage: Failure(
        status=400,
        reason="malformed-request",
        party="client",
        text="The client sent what the proxy cannot take as a request: correct it.",
        shows_cause=True,
    ),
    MessageTooLarge: Failure(
        status=413,
        reason="too-large",
        party="client",
        text="The client sent a request that is longer than the proxy takes: make it smaller.",
        shows_cause=True,
    ),
}
"""A row for every error of `broker.errors` and `wire.errors` that is raised."""

BROKEN_ANSWERS: Final[Mapping[str, Failure]] = {
    "agent-lost": Failure(
        status=502,
        reason="agent-lost",
        party="agent",
        text="The agent that had this request has gone before it answered, or may not serve the backend any more: send "
        "it again once an agent is there.",
    ),
    "tunnel-broke": Failure(
        status=502,
        reason="tunnel-broke",
        party="agent",
        text="The backend opened the websocket, but the agent's tunnel for it broke off: try again, and look into the "
        "agent's log.",
    ),
    "answer-too-large": Failure(
        status=502,
        reason="answer-too-large",
        party="backend",
        text="The backend's answer is longer than this proxy carries, 32 MB on App Engine: ask for less at a time, or "
        "use a stand-alone proxy, which carries any length.",
    ),
    "empty-answer": Failure(
        status=502,
        reason="empty-answer",
        party="agent",
        text="The agent posted an answer of no bytes: look into its log.",
    ),
}
"""`BrokenAnswer` for reasons of the proxy's own; for an agent's reasons, which may be any word, its row serves."""

UNAUTHENTICATED: Final = replace(
    FAILURES[NotAllowed],
    status=401,
    reason="not-authenticated",
    text="The proxy does not know who is calling: send valid credentials.",
    headers=(("WWW-Authenticate", "Bearer"),),
)
UNNAMED: Final = replace(
    FAILURES[NotAllowed],
    reason=UNAUTHENTICATED.reason,
    text="The proxy in front of this one has not said who is calling: come through that one, by its address, or tell "
    "the administrator.",
)
INTERNAL: Final = Failure(
    status=500,
    reason="internal-error",
    party="proxy",
    text="The proxy has a fault: tell its administrator, with the trace ID.",
)
NO_SUCH_PATH: Final = Failure(
    status=404, reason="no-such-path", party="client", text="Nothing is at this path: check the address."
)


def method_not_allowed(*methods: str) -> Failure:
    """The failure of a request to a known path by a method that it does not have."""
    allowed = ", ".join(methods)
    return Failure(
        status=405,
        reason="method-not-allowed",
        party="client",
        text=f"This path takes {allowed} only: use that.",
        headers=(("Allow", allowed),),
    )


def describe(exc: Exception) -> Failure:
    """What the caller is told of an exception; one without a row is a fault of the proxy, for the shell to log."""
    if isinstance(exc, Refusal):
        return exc.failure
    failure = next((FAILURES[kind] for kind in type(exc).__mro__ if kind in FAILURES), INTERNAL)
    if isinstance(exc, NotAllowed) and not exc.authenticated:
        failure = UNAUTHENTICATED if exc.challenged else UNNAMED
    if isinstance(exc, BrokenAnswer):
        failure = BROKEN_ANSWERS.get(exc.reason) or replace(failure, reason=exc.reason)
    if isinstance(exc, MessageTooLarge):
        failure = replace(failure, status=exc.status_hint)
    if isinstance(exc, Overloaded | TooManyRequests) and exc.retry_after is not None:
        failure = replace(failure, headers=_retry_after(exc.retry_after))
    cause = str(exc)
    return replace(failure, details=(cause,)) if failure.shows_cause and cause else failure


def choose_form(accept: str | None) -> Form:
    """How a client wants an answer that it did not ask for: by its `Accept`, plain text where it does not say."""
    weights: dict[str, float] = {}
    for item in (accept or "").lower().split(","):
        media_type, *parameters = (piece.strip() for piece in item.split(";"))
        weights[media_type] = _weight(parameters)
    forms: dict[Form, float] = {
        "text": weights.get("text/plain", 0.0),
        "html": weights.get("text/html", 0.0),
        "json": weights.get("application/json", 0.0),
    }
    return max(forms, key=lambda form: forms[form])


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def render(failure: Failure, *, form: Form, trace: str) -> Rendered:
    """The answer that tells of a failure; `trace` may be empty."""
    media_type, body = {"text": _as_text, "html": _as_html, "json": _as_json}[form](failure, trace)
    headers = Headers(
        (
            ("Content-Type", media_type),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
            (ERROR, failure.reason),
            *(((TRACE_ID, trace),) if trace else ()),
            *failure.headers,
        )
    )
    return failure.status, headers, body.encode()


# RFC 9110 sections 15.5.14 and 15.5.15 have renamed them; Python has followed in 3.13.
_RENAMED: Final = {413: "Content Too Large", 414: "URI Too Long"}


def _title(failure: Failure) -> str:
    return f"{failure.status} {_RENAMED.get(failure.status) or HTTPStatus(failure.status).phrase}"


def _as_text(failure: Failure, trace: str) -> tuple[str, str]:
    lines = [f"{_title(failure)}: {failure.text}", *(f"  {detail}" for detail in failure.details)]
    lines.append(f"({failure.reason}{', trace ' + trace if trace else ''})")
    return "text/plain; charset=utf-8", "\n".join(lines) + "\n"


def _as_json(failure: Failure, trace: str) -> tuple[str, str]:
    error = {
        "status": failure.status,
        "reason": failure.reason,
        "failed": failure.party,
        "message": failure.text,
        "details": list(failure.details),
        "trace": trace,
    }
    return "application/json", json.dumps({"error": error}) + "\n"


_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 38rem; margin: 15vh auto 0; padding: 0 1.5rem }}
h1 {{ font-size: 1.6rem }} p.trace {{ color: #666; font-size: 0.9rem }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{text}</p>
{details}<p class="trace">{reason}{trace}</p>
</body>
</html>
"""


def _as_html(failure: Failure, trace: str) -> tuple[str, str]:
    page = _PAGE.format(
        title=escape(_title(failure)),
        text=escape(failure.text),
        details="".join(f"<p>{escape(detail)}</p>\n" for detail in failure.details),
        reason=escape(failure.reason),
        trace=f" &middot; trace {escape(trace)}" if trace else "",
    )
    return "text/html; charset=utf-8", page
