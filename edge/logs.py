"""One line a request, its short ID first; and what may stand in a log at all.

A request ID opens its exchange to whoever holds it, so a log shows a prefix. Never logged: queries, header values,
bodies, tokens.
"""

import json
import logging
import re
import time
from datetime import timedelta
from typing import Final, Literal, NamedTuple

from broker.routing import path_of

LogFormat = Literal["text", "json"]

_MAX_FIELD: Final = 1024
_UNSAFE = re.compile(r"[^ -\[\]-~]")
_CLOUD_TRACE = re.compile(r"[0-9a-fA-F]{32}")


class Access(NamedTuple):
    """One request, as the log tells of it. `first_byte` is None where no answer began; sizes are those of bodies."""

    trace: str
    method: str
    target: str
    status: int
    received: int
    sent: int
    total: timedelta
    first_byte: timedelta | None = None
    backend: str = ""
    reason: str = ""
    """Of a failure; for an answer that broke off after its status was sent, too."""


def escaped(text: str) -> str:
    """Text from outside, cut to a bounded length, with all but visible ASCII and the space as `\\x..` or `\\u....`."""
    return _UNSAFE.sub(lambda match: ascii(match.group())[1:-1], text[:_MAX_FIELD])


def access_line(access: Access) -> str:
    """`trace method path status received>sent first_byte/total [backend=…] [reason=…]`; times in milliseconds."""
    first_byte = "-" if access.first_byte is None else f"{_milliseconds(access.first_byte)}"
    words = [
        access.trace or "-",
        access.method,
        path_of(access.target),
        str(access.status),
        f"{access.received}>{access.sent}B",
        f"{first_byte}/{_milliseconds(access.total)}ms",
    ]
    words += [f"{name}={value}" for name, value in (("backend", access.backend), ("reason", access.reason)) if value]
    line = " ".join(words)
    if len(line) <= _MAX_FIELD and _UNSAFE.search(line) is None:
        return line  # as nearly every one
    return " ".join(escaped(word) for word in words)


def log_access(logger: logging.Logger, access: Access, *, cloud_trace: str = "") -> None:
    """Write the line of a request that is over."""
    if logger.isEnabledFor(logging.INFO):
        # Without arguments the line is no format, whatever stands in it.
        logger.info(access_line(access), extra={"cloud_trace": cloud_trace} if cloud_trace else None)


def cloud_trace_of(field: str | None, *, project: str) -> str:
    """The trace that Google's front end names in `X-Cloud-Trace-Context`, as its logs write it; empty for none."""
    trace = (field or "").partition("/")[0]
    return f"projects/{project}/traces/{trace}" if project and _CLOUD_TRACE.fullmatch(trace) else ""


class TextFormatter(logging.Formatter):
    """Time, level and message, as `logging.Formatter` writes them; the words of the time are made once a second."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._second, self._words = 0, ""

    def format(self, record: logging.LogRecord) -> str:
        """The record; one that is not of a line alone is left to the parent."""
        if record.exc_info or record.exc_text or record.stack_info:
            return super().format(record)
        return f"{self.formatTime(record)} {record.levelname} {record.getMessage()}"

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """The local time to the millisecond."""
        second = int(record.created)
        if second != self._second:
            self._second, self._words = second, time.strftime(self.default_time_format, time.localtime(second))
        return f"{self._words},{int(record.msecs):03d}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with the fields that Google Cloud's logging reads."""

    def format(self, record: logging.LogRecord) -> str:
        """The record, its traceback included, on one line."""
        entry = {"severity": record.levelname, "message": super().format(record), "logger": record.name}
        cloud_trace: str = getattr(record, "cloud_trace", "")
        if cloud_trace:
            entry["logging.googleapis.com/trace"] = cloud_trace
        return json.dumps(entry)


def configure_logging(log_format: LogFormat, *, level: int = logging.INFO) -> None:
    """Send everything from `level` on to standard error; for composition roots."""
    # No line says who wrote it, and finding out costs as much as the line ("Optimization" in Python's Logging HOWTO).
    # The process remains: gunicorn's own lines name it.
    logging._srcfile = None
    logging.logThreads = logging.logMultiprocessing = False
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _milliseconds(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)
