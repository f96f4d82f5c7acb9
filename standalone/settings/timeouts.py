"""[timeouts]: how long to wait for what."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from standalone.settings.keys import time
from standalone.settings.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutSettings(Table):
    """How long to wait for what."""

    response: timedelta
    idle: timedelta
    list: timedelta
    offer: timedelta
    fetch: timedelta
    head: timedelta
    write: timedelta | None
    """None for as long as `idle`."""
    linger: timedelta
    keep_alive: timedelta
    shutdown: timedelta
    websocket_idle: timedelta

    NAME: ClassVar = "timeouts"
    ORDERS: ClassVar = (("offer", "fetch", "response"),)
    KEYS: ClassVar = (
        time("response", "30s", "From a request to the first byte of its answer: then 504."),
        time("idle", "30s", "The longest silence within a body, either way."),
        time(
            "list",
            "30s",
            "How long a poll of an agent waits for work: less than `--proxy-timeout` of the agents, which is 60s.",
            most=timedelta(minutes=5),
        ),
        time("offer", "5s", "How long a request that an agent was told of is hidden from others, until it is fetched."),
        time("fetch", "15s", "From a request to its fetching by an agent, at most `response`: then 503."),
        time("head", "20s", "For the head of a request: then 408."),
        time("write", "", "How long a client may not read while its answer waits; without it as long as `idle`."),
        time("linger", "5s", "How long a client may still send behind an answer that ends its connection."),
        time("keep-alive", "75s", "How long a connection stays open without a request."),
        time("shutdown", "8s", "For requests under way, when the proxy is told to stop."),
        time("websocket-idle", "1h", "How long a websocket stays open without a byte, either way."),
    )
