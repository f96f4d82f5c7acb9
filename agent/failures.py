"""The answers that the agent makes itself: it says that the backend failed, how, and where to look. No internals."""

from dataclasses import dataclass
from typing import Final

from agent.messages import Response, whole_body
from agent.transport.errors import NotHttp2, SourceBroke, TimedOut, TlsFailed, TransportError, Unreachable
from wire.headers import Headers
from wire.http1 import ResponseHead
from wire.protocol import ERROR, RequestId, trace_of


@dataclass(frozen=True, slots=True)
class Failure:
    """Status, reason for machines, text for people."""

    status: int
    reason: str
    text: str


UNREACHABLE: Final = Failure(
    502,
    "backend-unreachable",
    "The proxy and its agent work, but the agent could not connect to its backend.\n"
    "Check on the agent's machine that the backend runs and listens where --host says.",
)
TLS_FAILED: Final = Failure(
    502,
    "backend-tls",
    "The proxy and its agent work, and the agent reached its backend, but the two could not agree on TLS,\n"
    "or the backend's certificate is not to be trusted. The agent's log says which.\n"
    "Flags of the agent for it are --backend-ca-file and --backend-server-name.",
)
NOT_HTTP2: Final = Failure(
    502,
    "backend-not-http2",
    "The proxy and its agent work, but the backend does not speak HTTP/2, which --force-http2 of the agent asks for.\n"
    "Take the flag away, or let the backend speak it: over TLS by ALPN, in clear text with prior knowledge.",
)
BROKE: Final = Failure(
    502,
    "backend-broke",
    "The proxy and its agent work, but the backend ended the connection early, or its answer was not HTTP.\n"
    "Check the backend's own log.",
)
TIMED_OUT: Final = Failure(
    504,
    "backend-timeout",
    "The proxy and its agent work, but the backend did not answer in time.\n"
    "Check the backend; if it needs longer, raise --request-forwarding-timeout of the agent.",
)
TUNNEL_FAILED: Final = Failure(
    502,
    "tunnel-failed",
    "The backend opened the websocket, but the agent could not open a tunnel for it to the proxy.\n"
    "Is there a server between the two that does not let connections upgrade? The agent's log says more.",
)
NO_ROOM: Final = Failure(
    503,
    "too-many-websockets",
    "The agent has as many websockets open as it takes.\nClose some, or start a second agent.",
)
STOPPING: Final = Failure(503, "agent-stopping", "The agent is being stopped.\nTry again soon.")
REQUEST_BROKE: Final = Failure(
    502, "request-broke", "The agent did not receive the whole request from the proxy.\nSend it again."
)
CLIENT_GONE: Final = Failure(502, "client-gone", "Nobody waits for this answer any more.")
AGENT_FAILED: Final = Failure(502, "agent-failed", "The agent failed to handle this request.\nCheck the agent's log.")


def failure_of(exc: TransportError | SourceBroke) -> Failure:
    """What a call to the backend that raised `exc` is to the client."""
    if isinstance(exc, TlsFailed):
        return TLS_FAILED
    if isinstance(exc, Unreachable):
        return UNREACHABLE
    if isinstance(exc, NotHttp2):
        return NOT_HTTP2
    if isinstance(exc, TimedOut):
        return TIMED_OUT
    return REQUEST_BROKE if isinstance(exc, SourceBroke) else BROKE


def failure_response(failure: Failure, request_id: RequestId, *, method: str) -> Response:
    """The whole answer for a failure; `method` is the request's, because HEAD gets no body."""
    text = f"{failure.text}\n({failure.reason}, trace {trace_of(request_id)})\n".encode("ascii")
    headers = Headers(
        [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store"), (ERROR, failure.reason)]
    )
    head = ResponseHead(failure.status, headers, len(text))
    return Response(head, whole_body(b"" if method == "HEAD" else text), failure=failure.reason)
