"""`edge.logs`: one line a request that can be searched, and that gives nothing away."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest

from edge.logs import (
    Access,
    JsonFormatter,
    TextFormatter,
    access_line,
    cloud_trace_of,
    configure_logging,
    escaped,
    log_access,
)
from tests import logging_settings

ACCESS = Access(
    trace="abcd1234",
    method="POST",
    target="/upload?token=secret",
    status=200,
    received=12,
    sent=345,
    total=timedelta(milliseconds=61.4),
    first_byte=timedelta(milliseconds=20),
    backend="demo",
)


def record(message: str, **extra: object) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "edge", "levelname": "INFO", "msg": message, **extra})


def test_a_line_begins_with_the_trace_and_has_no_query() -> None:
    assert access_line(ACCESS) == "abcd1234 POST /upload 200 12>345B 20/61ms backend=demo"


def test_a_failed_request_names_its_reason() -> None:
    failed = ACCESS._replace(trace="", status=404, first_byte=None, backend="", reason="no-backend")
    assert access_line(failed) == "- POST /upload 404 12>345B -/61ms reason=no-backend"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\r\nb", r"a\r\nb"),
        ("\x1b[31m", r"\x1b[31m"),
        ("back\\slash", r"back\\slash"),
        ("caf\xe9 \u2028", r"caf\xe9 \u2028"),
        ("x" * 2000, "x" * 1024),
    ],
)
def test_text_from_outside_cannot_break_a_line(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_a_line_stays_one_line_whatever_the_client_sent() -> None:
    assert "\n" not in access_line(ACCESS._replace(method="G\nET", target="/a\nb"))


def test_the_line_is_written_at_info(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="test"):
        log_access(logging.getLogger("test"), ACCESS, cloud_trace="projects/p/traces/t")
    assert [(entry.levelname, entry.getMessage()) for entry in caplog.records] == [("INFO", access_line(ACCESS))]
    assert vars(caplog.records[0])["cloud_trace"] == "projects/p/traces/t"


@pytest.mark.parametrize(
    ("field", "project", "trace"),
    [
        ("105445aa7843bc8bf206b12000100000/1;o=1", "p", "projects/p/traces/105445aa7843bc8bf206b12000100000"),
        ("105445aa7843bc8bf206b12000100000/1;o=1", "", ""),
        ("../../etc", "p", ""),
        (None, "p", ""),
    ],
)
def test_the_trace_of_the_front_end_is_named_as_google_writes_it(field: str | None, project: str, trace: str) -> None:
    assert cloud_trace_of(field, project=project) == trace


def test_a_json_record_is_one_object_on_one_line() -> None:
    line = JsonFormatter().format(record("two\nlines", cloud_trace="projects/p/traces/t"))
    assert "\n" not in line
    assert json.loads(line) == {
        "severity": "INFO",
        "message": "two\nlines",
        "logger": "edge",
        "logging.googleapis.com/trace": "projects/p/traces/t",
    }


def test_a_json_record_without_a_trace_has_no_such_field() -> None:
    assert set(json.loads(JsonFormatter().format(record("x")))) == {"severity", "message", "logger"}


def test_text_has_the_time_as_python_writes_it() -> None:
    formatter, pythons = TextFormatter(), logging.Formatter("%(asctime)s %(levelname)s %(message)s")

    for moment in (1_700_000_000.0, 1_700_000_000.0149, 1_700_000_000.9999, 1_700_000_001.5):
        entry = record("hello", created=moment, msecs=moment % 1 * 1000)
        assert formatter.format(entry) == pythons.format(entry)


def test_text_has_tracebacks_as_python_writes_them() -> None:
    try:
        raise ValueError("why")
    except ValueError:
        entry = record("failed", created=1_700_000_000.0, msecs=0.0, exc_info=sys.exc_info())

    assert TextFormatter().format(entry) == logging.Formatter("%(asctime)s %(levelname)s %(message)s").format(entry)


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    """The root logger and what a record notes, put back as they were."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    for handler in handlers:
        root.removeHandler(handler)
    with logging_settings.kept():
        yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_is_written_where_it_is_asked_for(root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")
    root_logger.info("hello")
    assert json.loads(capsys.readouterr().err)["message"] == "hello"


def test_text_is_written_with_its_level(root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("text", level=logging.WARNING)
    root_logger.info("quiet")
    root_logger.warning("hello")
    assert capsys.readouterr().err.endswith(" WARNING hello\n")


def test_a_line_of_gunicorn_which_names_its_process_can_be_written(root_logger: logging.Logger) -> None:
    """`gunicorn.glogging.Logger.error_fmt`; standard error has the traceback of the attempt instead."""
    configure_logging("text")
    line = logging.getLogger("gunicorn.error").makeRecord("gunicorn.error", logging.ERROR, "", 0, "it broke", (), None)
    assert logging.Formatter("[%(process)d] %(message)s").format(line) == f"[{os.getpid()}] it broke"
