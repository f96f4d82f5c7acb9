"""The handlers around the backend."""

import pytest

from agent.hygiene import RequestRules
from agent.messages import Request, Response, whole_body
from agent.pipeline import Handler, build_pipeline
from agent.transport.errors import Broken, NothingReceived, SourceBroke, TimedOut, TlsFailed, Unreachable
from wire.headers import Headers
from wire.http1 import RequestHead, ResponseHead
from wire.protocol import RequestId

SECRET = "10.1.2.3 secret"


def a_request(*fields: tuple[str, str], user_id: str = "", method: str = "GET") -> Request:
    head = RequestHead(method, "/", Headers([("Host", "x"), *fields]), None)
    return Request(RequestId("id"), user_id, head, b"", is_forwarded_set=True)


def pipeline(backend: Handler, *, forwards_user_id: bool = False, strips_credentials: bool = False) -> Handler:
    rules = RequestRules(forwards_user_id=forwards_user_id, strips_credentials=strips_credentials)
    return build_pipeline(backend, rules=rules)


def seen_by_backend(request: Request, *, forwards_user_id: bool = False) -> list[tuple[str, str]]:
    seen: list[Request] = []

    def backend(request: Request) -> Response:
        seen.append(request)
        return Response(ResponseHead(200, Headers(), 0), whole_body(b""))

    pipeline(backend, forwards_user_id=forwards_user_id)(request)
    return list(seen[0].head.headers)


def test_a_user_who_is_nobody_is_no_field() -> None:
    forged = a_request(("X-Inverting-Proxy-User-ID", "admin"))
    assert seen_by_backend(forged, forwards_user_id=True) == [("Host", "x")]


def test_the_user_is_one_field_and_the_last() -> None:
    forged = a_request(("x_inverting-proxy_user-id", "admin"), ("X-B", "1"), user_id="u@example.com")
    assert seen_by_backend(forged, forwards_user_id=True) == [
        ("Host", "x"),
        ("X-B", "1"),
        ("X-Inverting-Proxy-User-ID", "u@example.com"),
    ]


def raising(error: Exception) -> Handler:
    def backend(request: Request) -> Response:
        raise error

    return backend


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (Unreachable(SECRET), 502, "backend-unreachable"),
        (TlsFailed(SECRET), 502, "backend-tls"),
        (Broken(SECRET), 502, "backend-broke"),
        (NothingReceived(SECRET), 502, "backend-broke"),
        (TimedOut(SECRET), 504, "backend-timeout"),
        (SourceBroke(SECRET), 502, "request-broke"),
    ],
)
def test_a_failure_says_what_failed_and_where_to_look_but_no_internals(
    error: Exception, status: int, reason: str
) -> None:
    response = pipeline(raising(error))(a_request())
    body = b"".join(event for event in response.events if isinstance(event, bytes))
    assert (response.head.status, response.failure) == (status, reason)
    assert response.head.headers.get("X-Inverting-Proxy-Error") == reason
    assert (response.head.length, b"agent" in body, SECRET.encode() in body) == (len(body), True, False)
    assert body.decode().endswith(f"({reason}, trace {a_request().request_id[:8]})\n")


def test_the_answer_to_head_says_how_long_its_body_would_be() -> None:
    response = pipeline(raising(Broken("")))(a_request(method="HEAD"))
    assert ([event for event in response.events if isinstance(event, bytes)], bool(response.head.length)) == ([], True)


def test_an_error_that_is_nobodys_failure_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        pipeline(raising(ZeroDivisionError()))(a_request())


def test_a_call_that_was_ended_because_nobody_waits_is_nobodys_failure(caplog: pytest.LogCaptureFixture) -> None:
    request = a_request()
    request.interrupt.trigger()

    assert pipeline(raising(Broken("")))(request).failure == "client-gone"
    assert caplog.records == []
