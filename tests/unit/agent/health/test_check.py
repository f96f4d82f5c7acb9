"""One check of a backend."""

import pytest

from agent.health.check import CheckFailed, build_check
from agent.messages import Request, Response, whole_body
from agent.transport.errors import TimedOut, Unreachable
from wire.headers import Headers
from wire.http1 import ResponseHead


class Backend:
    """Answers with a status, or fails."""

    def __init__(self, answer: int | Exception) -> None:
        self.answer = answer
        self.asked: list[Request] = []
        self.closed = 0

    def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return Response(ResponseHead(self.answer, Headers(), 0), whole_body(b""), close=self._close)

    def _close(self) -> None:
        self.closed += 1

    def check(self) -> None:
        build_check(self, host="localhost:8080", path="/health?key=secret", user_agent="agent")()


@pytest.mark.parametrize("status", [200, 204, 301, 302, 399])
def test_what_is_healthy(status: int) -> None:
    backend = Backend(status)
    backend.check()
    head = backend.asked[0].head
    assert (head.method, head.target, head.headers.get("Host")) == ("GET", "/health?key=secret", "localhost:8080")
    assert backend.closed == 1


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503])
def test_what_is_not(status: int) -> None:
    backend = Backend(status)
    with pytest.raises(CheckFailed, match=f"^it answers /health with status {status}$"):
        backend.check()
    assert backend.closed == 1


@pytest.mark.parametrize("error", [Unreachable("no connection: refused"), TimedOut("silent for 5 s")])
def test_a_backend_that_does_not_answer_is_not_healthy(error: Exception) -> None:
    with pytest.raises(CheckFailed, match=str(error)):
        Backend(error).check()
