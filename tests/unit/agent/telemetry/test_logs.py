"""What stands in the log, and in which form."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.telemetry.logs import JsonFormatter, LogFormat, TextFormatter, configure, escape, log_exchange
from agent.telemetry.observer import FinishedExchange
from tests import logging_settings

EXCHANGE = FinishedExchange("0123456789abcdef", "GET", "/path", 200, 5, 0.0123, "")


def a_record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    record = logging.makeLogRecord({"msg": message, "args": arguments, "levelname": "INFO", "name": "agent.x", **extra})
    record.created, record.msecs = 1_800_000_000.25, 250.0
    return record


@pytest.fixture
def untouched_logging() -> Iterator[None]:
    """What `configure` changes is put back."""
    root, ours = logging.getLogger(), logging.getLogger("agent")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    root.handlers[:] = []
    with logging_settings.kept():
        yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


def configured(log_format: LogFormat, *, is_debugging: bool = False) -> io.StringIO:
    stream = io.StringIO()
    configure(log_format, is_debugging=is_debugging, stream=stream)
    return stream


def test_a_line_of_text_has_time_level_logger_and_message() -> None:
    line = TextFormatter().format(a_record("%.8s %s", "0123456789", "hello"))
    assert line == "2027-01-15T08:00:00.250Z INFO agent.x: 01234567 hello"


def test_a_json_line_has_the_fields_that_cloud_logging_reads() -> None:
    assert json.loads(JsonFormatter().format(a_record("%.8s %s", "0123456789", "hello"))) == {
        "severity": "INFO",
        "time": "2027-01-15T08:00:00.250Z",
        "message": "01234567 hello",
        "logger": "agent.x",
        "request_id": "01234567",
    }


def test_a_line_about_no_request_has_no_request_id() -> None:
    assert "request_id" not in json.loads(JsonFormatter().format(a_record("%s", "0123456789")))


@pytest.mark.usefixtures("untouched_logging")
def test_a_request_is_one_line_its_id_first() -> None:
    stream = configured("text")
    log_exchange(logging.getLogger("agent.exchanges"), EXCHANGE)
    assert stream.getvalue().endswith(" INFO agent.exchanges: 01234567 GET /path 200 5 bytes 12 ms\n")


@pytest.mark.usefixtures("untouched_logging")
def test_a_request_in_json_is_what_cloud_logging_shows_as_one() -> None:
    stream = configured("json")
    failed = FinishedExchange("0123456789abcdef", "GET", "/path", 504, 5, 0.0123, "backend-timeout")
    log_exchange(logging.getLogger("agent.exchanges"), failed)
    [line] = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert entry["message"] == "01234567 GET /path 504 5 bytes 12 ms reason=backend-timeout"
    assert (entry["request_id"], entry["reason"]) == ("01234567", "backend-timeout")
    assert entry["httpRequest"] == {
        "requestMethod": "GET",
        "requestUrl": "/path",
        "status": 504,
        "responseSize": "5",
        "latency": "0.012300s",
    }


HOSTILE = "/a\r\n2027-01-15 INFO agent: 99999999 GET /forged\x1b[31m\x00\x7f\x85\u2028\u202e\ud800é\\n"


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.usefixtures("untouched_logging")
def test_a_hostile_path_stays_within_its_line(log_format: LogFormat) -> None:
    stream = configured(log_format)
    log_exchange(logging.getLogger("agent"), FinishedExchange("id", "GET", HOSTILE, 200, 0, 0.0, ""))
    written = stream.getvalue()
    assert written.count("\n") == 1
    assert all(" " <= character <= "~" for character in written[:-1])


@given(text=st.text())
def test_what_is_escaped_is_visible_and_can_be_read_back(text: str) -> None:
    escaped = escape(text)
    assert all(" " <= character <= "~" for character in escaped)
    assert escaped.encode().decode("unicode_escape") == text


@given(message=st.text(), reason=st.text())
def test_whatever_is_logged_is_one_line_and_an_object(message: str, reason: str) -> None:
    record = a_record("%s", message, exchange=FinishedExchange("id", "GET", message, 200, 0, 0.0, reason))
    line = JsonFormatter().format(record)
    assert (line.isascii(), "\n" in line, json.loads(line)["message"]) == (True, False, message)


def raised(text: str) -> logging.LogRecord:
    try:
        raise ValueError(text)
    except ValueError as exc:
        return a_record("it failed", exc_info=(ValueError, exc, exc.__traceback__), levelname="ERROR")


def test_a_traceback_in_text_cannot_look_like_a_line_of_the_log() -> None:
    first, *rest = TextFormatter().format(raised("x\n2027-01-15 INFO forged\x1b[31m")).split("\n")
    assert first.endswith("ERROR agent.x: it failed")
    assert rest
    assert all(line.startswith("    ") for line in rest)
    assert rest[-1] == r"    2027-01-15 INFO forged\x1b[31m"


def test_a_traceback_in_json_is_a_field() -> None:
    entry = json.loads(JsonFormatter().format(raised("broken")))
    assert (entry["severity"], entry["message"]) == ("ERROR", "it failed")
    assert entry["stack_trace"].endswith("ValueError: broken")


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_what_is_long_is_cut(formatter: logging.Formatter) -> None:
    assert len(formatter.format(a_record("x" * 1_000_000))) < 10_000


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_wrong_arguments_do_not_cost_the_line(formatter: logging.Formatter) -> None:
    assert "%d requests" in formatter.format(a_record("%d requests", "many"))


@pytest.mark.parametrize(("is_debugging", "expected"), [(False, ["i"]), (True, ["d", "i"])])
@pytest.mark.usefixtures("untouched_logging")
def test_debugging_is_for_our_own_loggers(is_debugging: bool, expected: list[str]) -> None:
    stream = configured("json", is_debugging=is_debugging)
    logger = logging.getLogger("agent.proxy.client")
    logger.debug("d")
    logger.info("i")
    for library in ("urllib3.connectionpool", "google.auth", "hpack.hpack", "websockets.client", "h2"):
        logging.getLogger(library).debug("a secret")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == expected
