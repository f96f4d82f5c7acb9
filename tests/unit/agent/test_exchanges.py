"""One exchange, from fetch to posted answer."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from agent.exchanges import Exchanges, Told
from agent.messages import Listed, Request, Response, whole_body
from agent.proxy.client import Fetched
from agent.proxy.errors import Gone, ProxyError, ProxyUnavailable
from agent.transport.client import Interrupt
from agent.transport.errors import Broken, SourceBroke
from wire.errors import MalformedMessage
from wire.headers import Headers
from wire.http1 import End, RequestHead, ResponseHead
from wire.protocol import RequestId

ID = RequestId("0123456789")
REQUEST = Request(ID, "", RequestHead("GET", "/a?b", Headers(), None), b"")


class FakeProxy:
    """Raises what it is told to, call by call; keeps the answers it takes."""

    def __init__(self, *errors: Exception | None) -> None:
        self._errors = list(errors)
        self.answers: list[tuple[int, str, bytes]] = []
        self.closed = 0

    def _raise_next(self) -> None:
        error = self._errors.pop(0) if self._errors else None
        if error is not None:
            raise error

    def _close(self) -> None:
        self.closed += 1

    def fetch(self, request_id: RequestId) -> Fetched:
        self._raise_next()
        return Fetched(REQUEST, close=self._close)

    def respond(self, request_id: RequestId, response: Response, *, method: str, told: Told) -> None:
        body = b"".join(event for event in response.events if isinstance(event, bytes))
        error = self._errors.pop(0) if self._errors else None
        if error is None:
            self.answers.append((response.head.status, response.failure, body))
        told(error)


def answer(request: Request) -> Response:
    return Response(ResponseHead(200, Headers(), 5), whole_body(b"hello"))


def run(proxy: FakeProxy, handler: Callable[[Request], Response] = answer, *, listed: Listed = ID) -> list[RequestId]:
    """The IDs that were forgotten; it has to have ended once."""
    forgotten: list[RequestId] = []
    ended: list[bool] = []
    Exchanges(proxy, handler, forget=forgotten.append).run(listed, lambda: ended.append(True))
    assert ended == [True]
    return forgotten


def test_an_answer_is_posted_and_the_request_closed() -> None:
    proxy = FakeProxy()
    assert (run(proxy), proxy.answers, proxy.closed) == ([], [(200, "", b"hello")], 1)


@pytest.mark.parametrize("error", [Gone("x"), ProxyUnavailable("x"), ProxyError("x"), Broken("x")])
def test_a_request_that_cannot_be_fetched_is_forgotten(error: Exception) -> None:
    proxy = FakeProxy(error)
    assert (run(proxy), proxy.answers) == ([ID], [])


def test_a_request_that_is_not_http_is_answered_for() -> None:
    proxy = FakeProxy(MalformedMessage("x"))
    run(proxy)
    assert [answer[:2] for answer in proxy.answers] == [(502, "request-broke")]


def test_a_handler_that_fails_is_logged_and_answered_for(caplog: pytest.LogCaptureFixture) -> None:
    def fail(request: Request) -> Response:
        raise ZeroDivisionError

    proxy = FakeProxy()
    run(proxy, fail)
    assert [answer[:2] for answer in proxy.answers] == [(502, "agent-failed")]
    assert "01234567 the agent failed" in caplog.messages


def test_an_answer_that_breaks_off_is_followed_by_a_whole_one() -> None:
    proxy = FakeProxy(None, SourceBroke("x"))
    run(proxy)
    assert [answer[:2] for answer in proxy.answers] == [(502, "backend-broke")]


def test_an_answer_that_breaks_off_since_its_client_has_gone_is_not_the_backends_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    proxy = FakeProxy(SourceBroke("x"))

    def leave(request: Request) -> Response:
        exchanges.give_up([request.request_id])
        return answer(request)

    exchanges = Exchanges(proxy, leave, forget=lambda _: None)
    exchanges.run(replace(REQUEST, interrupt=Interrupt()), lambda: None)

    assert proxy.answers == []
    assert caplog.messages[0] == "01234567 nobody waits for the answer any more"
    assert caplog.messages[1].endswith("reason=client-gone")


@pytest.mark.parametrize("error", [Gone("x"), ProxyError("x"), Broken("x")])
@pytest.mark.parametrize("first", [None, SourceBroke("x")])
def test_an_answer_that_cannot_be_delivered_harms_nobody(error: Exception, first: Exception | None) -> None:
    proxy = FakeProxy(None, *([first] if first else []), error)
    run(proxy)
    assert (proxy.answers, proxy.closed) == ([], 1)


def test_a_request_that_is_here_is_not_fetched() -> None:
    proxy = FakeProxy()
    assert (run(proxy, listed=REQUEST), proxy.answers, proxy.closed) == ([], [(200, "", b"hello")], 0)


def test_an_exchange_ends_when_it_is_known_what_has_become_of_its_answer() -> None:
    tell: list[Told] = []
    ended: list[bool] = []

    class Later(FakeProxy):
        def respond(self, request_id: RequestId, response: Response, *, method: str, told: Told) -> None:
            tell.append(told)

    Exchanges(Later(), answer, forget=lambda _: None).run(REQUEST, lambda: ended.append(True))
    before = list(ended)
    tell[0](None)
    assert (before, ended) == ([], [True])


def test_a_client_that_fails_is_logged_and_ends_the_exchange(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(FakeProxy):
        def respond(self, request_id: RequestId, response: Response, *, method: str, told: Told) -> None:
            raise ZeroDivisionError

    run(Failing(), listed=REQUEST)
    assert "01234567 the agent failed" in caplog.messages


def test_the_backend_is_closed_whatever_happens() -> None:
    closed: list[bool] = []

    def closing(request: Request) -> Response:
        events: Iterator[bytes | End] = whole_body(b"")
        return Response(ResponseHead(200, Headers(), 0), events, close=lambda: closed.append(True))

    run(FakeProxy(None, ProxyError("x")), closing)
    assert closed == [True]


def test_the_line_in_the_log_has_no_query(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run(FakeProxy())
    assert caplog.messages[0].startswith("01234567 GET /a 200 5 bytes ")


def test_a_request_that_nobody_waits_for_is_interrupted_as_long_as_it_runs() -> None:
    seen: list[bool] = []
    exchanges: list[Exchanges] = []

    def handle(request: Request) -> Response:
        seen.append(request.interrupt.is_triggered)
        exchanges[0].give_up([ID, RequestId("another")])
        seen.append(request.interrupt.is_triggered)
        return answer(request)

    exchanges.append(Exchanges(FakeProxy(), handle, forget=lambda request_id: None))
    exchanges[0].run(replace(REQUEST, interrupt=Interrupt()), lambda: None)
    after = replace(REQUEST, interrupt=Interrupt())
    exchanges[0].give_up([ID])

    assert (seen, after.interrupt.is_triggered) == ([False, True], False)
