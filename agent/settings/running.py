"""The flags about the agent itself: how it runs, and what its operator sees."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, cast, get_args

from agent.commandline.flags import Flag
from agent.commandline.parsing import boolean, duration
from agent.settings.group import Group
from agent.telemetry.logs import LogFormat


@dataclass(frozen=True, slots=True)
class RunningSettings(Group):
    """What the agent was told about itself."""

    graceful_shutdown_timeout: timedelta
    status_port: tuple[str, int] | None
    """Host and port at which the operator may ask; None for nowhere."""
    workers: int | None
    """Processes that serve; None for as many as there are cores and need."""
    log_format: LogFormat
    debug: bool


def parse_address(text: str) -> tuple[str, int] | None:
    """Host and port; None for an empty text. Raises `ValueError`."""
    if not text:
        return None
    found = re.fullmatch(r"(?:(.+):)?(\d{1,5})", text, re.ASCII)
    if found is None or not 1 <= int(found[2]) <= 65_535:
        raise ValueError("not a port")
    return (found[1] or "127.0.0.1").strip("[]"), int(found[2])


def _parse_workers(text: str) -> int | None:
    if text == "auto":
        return None
    if re.fullmatch(r"[1-9]\d?", text, re.ASCII) is None:
        raise ValueError("not a number of workers")
    return int(text)


def _parse_format(text: str) -> LogFormat:
    for known in get_args(LogFormat):
        if text == known:
            return cast(LogFormat, text)
    raise ValueError("not a format")


FLAGS: Final = (
    duration(
        "graceful-shutdown-timeout",
        timedelta(seconds=30),
        "On SIGTERM and SIGINT: how long running requests may take to finish.",
    ),
    Flag(
        "status-port",
        "",
        "PORT or HOST:PORT",
        "Serve a status page, /healthz, /readyz and /metrics; without a host to this machine alone.",
        parse_address,
    ),
    Flag(
        "workers",
        "auto",
        "auto or a number from 1 to 99",
        "Processes that serve. auto: one, and when it is busy as many as there are cores, at most 4.",
        _parse_workers,
    ),
    Flag("log-format", "text", "text or json", "How log lines are written.", _parse_format),
    boolean("debug", "Write a debug log; never bodies, cookies or tokens."),
)
