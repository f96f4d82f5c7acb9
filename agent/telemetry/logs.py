"""The agent's log: one record a line, text or JSON, to standard error; one record a request, its short ID first.

A message about a request begins with `%.8s`, the request's ID: that convention is how JSON gets its field `request_id`.
Never logged: queries, header values, bodies, tokens. Libraries never log below INFO: what they write when debugging
(frames, header fields, tokens) is theirs to choose.
"""

import json
import logging
import re
import sys
import time
from functools import lru_cache
from typing import Final, Literal, TextIO

from agent.telemetry.observer import FinishedExchange

LogFormat = Literal["text", "json"]

_ID_FIRST: Final = "%.8s "
_MAX_MESSAGE: Final = 8192
"""Characters: what is longer is cut."""

_MAX_TRACEBACK: Final = 32_768

# The visible characters of ASCII but the backslash, and the space: an escape can be told from what looks like one.
_UNSAFE: Final = re.compile(r"[^ -\[\]-~]")


def log_exchange(logger: logging.Logger, finished: FinishedExchange) -> None:
    """Write the line of a request that is over: `id method path status size time [reason=…]`."""
    if not logger.isEnabledFor(logging.INFO):
        return
    logger.info(
        "%.8s %s %s %d %d bytes %.0f ms%s",
        finished.request_id,
        finished.method,
        finished.path,
        finished.status,
        finished.size,
        finished.seconds * 1000,
        f" reason={finished.reason}" if finished.reason else "",
        extra={"exchange": finished},
    )


def escape(text: str) -> str:
    """`text` with everything but visible ASCII and the space as `\\x..`, `\\u....` or `\\n`; a backslash is doubled."""
    # Most texts have nothing to escape, and the search alone costs less.
    return _UNSAFE.sub(lambda match: ascii(match.group())[1:-1], text) if _UNSAFE.search(text) else text


class TextFormatter(logging.Formatter):
    """`time level logger: message`; nothing in a message can begin another line, and a traceback is indented."""

    def format(self, record: logging.LogRecord) -> str:
        message = escape(_message(record)[:_MAX_MESSAGE])
        first = f"{_timestamp(record)} {record.levelname} {record.name}: {message}"
        if not record.exc_info and not record.stack_info:
            return first
        lines = [first]
        lines += [f"    {escape(line)}" for line in _traceback(record, self).splitlines()]
        return "\n".join(lines)


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with the fields that Google's Cloud Logging reads from standard error.

    https://cloud.google.com/logging/docs/structured-logging
    """

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "severity": record.levelname,
            "time": _timestamp(record),
            "message": _message(record)[:_MAX_MESSAGE],
            "logger": record.name,
        }
        if request_id := _request_id(record):
            entry["request_id"] = request_id
        finished = getattr(record, "exchange", None)
        if isinstance(finished, FinishedExchange):
            entry["httpRequest"] = {
                "requestMethod": finished.method,
                "requestUrl": finished.path,
                "status": finished.status,
                # The API's form of an int64 and of a duration.
                "responseSize": str(finished.size),
                "latency": f"{finished.seconds:.6f}s",
            }
            if finished.reason:
                entry["reason"] = finished.reason
        if traceback := _traceback(record, self):
            entry["stack_trace"] = traceback
        return json.dumps(entry)


def configure(log_format: LogFormat, *, is_debugging: bool, stream: TextIO | None = None) -> None:
    """Send the log to `stream`, standard error if none is given; for the composition root, before anything is logged.

    Debugging is for the agent's own loggers alone.
    """
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # No line shows these, and each line would ask the system for them.
    logging.logProcesses = logging.logThreads = logging.logMultiprocessing = False
    logging.getLogger("agent").setLevel(logging.DEBUG if is_debugging else logging.INFO)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        # A library's slip in its arguments costs the arguments, not the line.
        return str(record.msg)


def _request_id(record: logging.LogRecord) -> str:
    """The short ID of the request that a record is about; empty for none."""
    is_about_one = isinstance(record.msg, str) and record.msg.startswith(_ID_FIRST) and isinstance(record.args, tuple)
    return str(record.args[0])[:8] if is_about_one and record.args and isinstance(record.args, tuple) else ""


def _timestamp(record: logging.LogRecord) -> str:
    """RFC 3339, UTC, milliseconds."""
    return f"{_seconds(int(record.created))}.{int(record.msecs):03d}Z"


@lru_cache(maxsize=4)
def _seconds(moment: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))


def _traceback(record: logging.LogRecord, formatter: logging.Formatter) -> str:
    """The end of a record's traceback, and the stack that it was asked for; empty for neither."""
    parts = []
    if record.exc_info and record.exc_info[0] is not None:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)[-_MAX_TRACEBACK:]
