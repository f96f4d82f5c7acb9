"""`edge.service`: every request has an ID, an answer and a line in the log."""

import logging
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from itertools import count

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.exceptions import ImATeapot

from broker.errors import BackendOffline, DuplicateRequest, Overloaded
from broker.model import BackendStatus
from broker.policy import Policy
from edge.service import current_record, make_service
from edge.wsgi import PlainResponse, streamed
from stores.memory.store import MemoryStore
from tests.fakes.clock import FakeClock
from wire.headers import Headers
from wire.http1 import ResponseHead
from wire.protocol import ERROR, TRACE_ID, BackendId, RequestId


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class Asked(MemoryStore):
    """Notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__(Policy())
        self.asked = 0

    def get_statuses(self, backend_ids: Collection[BackendId]) -> Mapping[BackendId, BackendStatus]:
        self.asked += 1
        return super().get_statuses(backend_ids)


@pytest.fixture
def store() -> Asked:
    return Asked()


@pytest.fixture
def app(clock: FakeClock, store: Asked) -> Flask:
    """A service that fails as it is told."""
    numbers = count(1)
    made = make_service(
        "svc",
        store=store,
        clock=clock,
        new_id=lambda: RequestId(f"{next(numbers):08}-the-secret-rest"),
        form_for=lambda accept: "text",
        project="demo",
    )
    errors: dict[str, Exception] = {
        "fault": RuntimeError("deep inside"),
        "teapot": ImATeapot(),
        "offline": BackendOffline("no agent for:\nnotebook"),
        "full": Overloaded("10 wait"),
    }

    @made.get("/fail/<name>")
    def fail(name: str) -> str:
        if name == "twice":
            raise DuplicateRequest(current_record().request_id)
        raise errors[name]

    @made.get("/slow")
    def slow() -> PlainResponse:
        def body() -> Iterator[bytes]:
            yield b"ab"
            clock.advance(timedelta(seconds=2))
            yield b"c"

        clock.advance(timedelta(milliseconds=30))
        current_record().backend = "notebook"
        return streamed(ResponseHead(200, Headers(), None), body())

    return made


@pytest.fixture
def client(app: Flask, caplog: pytest.LogCaptureFixture) -> FlaskClient:
    caplog.set_level(logging.INFO, logger="edge.service")
    return app.test_client()


def test_a_line_tells_sizes_and_times_when_all_is_sent(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    assert client.get("/slow?q=1", buffered=True).data == b"abc"
    assert caplog.messages == ["00000001 GET /slow 200 0>3B 30/2030ms backend=notebook"]


def test_the_trace_of_the_front_end_goes_into_the_log(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    client.get("/slow", headers={"X-Cloud-Trace-Context": "0" * 32 + "/1;o=1"}, buffered=True)

    assert vars(caplog.records[-1])["cloud_trace"] == f"projects/demo/traces/{'0' * 32}"


def test_a_fault_is_in_the_log_with_its_traceback(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    answered = client.get("/fail/fault", buffered=True)

    assert (answered.status_code, answered.headers[TRACE_ID]) == (500, "00000001")
    assert caplog.records[0].exc_info is not None
    assert caplog.messages[0] == "00000001 a fault"
    assert caplog.messages[1].endswith("reason=internal-error")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("offline", r"00000001 no-agent: no agent for:\nnotebook"),
        ("full", "00000001 overloaded: 10 wait"),
        ("twice", "00000001 duplicate-request: 00000001"),
    ],
)
def test_what_a_caller_is_not_told_is_in_the_log(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, name: str, line: str
) -> None:
    answered = client.get(f"/fail/{name}")

    assert answered.status_code == 503
    assert (caplog.records[0].levelname, caplog.messages[0]) == ("WARNING", line)


def test_what_goes_wrong_again_and_again_has_a_line_a_second_beside_those_of_the_requests(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, clock: FakeClock
) -> None:
    for _ in range(3):
        client.get("/fail/full", buffered=True)
    clock.advance(timedelta(seconds=1))
    client.get("/fail/full", buffered=True)

    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "00000001 overloaded: 10 wait",
        "00000004 overloaded: 10 wait (and 2 more since the last such line)",
    ]
    assert len([line for line in caplog.messages if line.endswith("reason=overloaded")]) == 4


def test_other_errors_of_the_router_are_bad_requests(client: FlaskClient) -> None:
    answered = client.get("/fail/teapot")

    assert (answered.status_code, answered.headers[ERROR]) == (400, "malformed-request")


def test_there_are_no_redirects_and_no_automatic_options(client: FlaskClient) -> None:
    assert [client.get(path).status_code for path in ("/slow/", "//slow", "/nowhere")] == [404, 404, 404]
    assert client.options("/slow").status_code == 405


def test_an_instance_that_is_woken_reaches_for_its_store(client: FlaskClient, store: Asked) -> None:
    assert [client.get(path).status_code for path in ("/_ah/warmup", "/_ah/start")] == [200, 200]
    assert store.asked == 2
