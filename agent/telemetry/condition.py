"""Whether a backend is served: the proxy answered lately, and the backend is healthy. If not, why, in a sentence."""

from typing import Final

from agent.telemetry.record import Snapshot

STALE: Final = 90.0
"""Seconds that the proxy may leave polls unanswered. It answers each within 30, so it has then missed three."""


def why_not_connected(snapshot: Snapshot) -> str:
    """Empty if the agent is connected to the proxy."""
    if snapshot.poll_failure:
        return f"the last poll failed: {snapshot.poll_failure}"
    if snapshot.unanswered_age is not None and snapshot.unanswered_age > STALE:
        return f"the proxy has not answered a poll for {snapshot.unanswered_age:.0f} s"
    # The first poll has its time, too: until it is over nobody knows.
    if snapshot.answered_age is None and snapshot.unhealthy:
        return "the proxy is asked for nothing while the backend is not healthy"
    if snapshot.answered_age is None:
        return "the proxy has not answered a poll yet"
    return ""


def why_not_ready(snapshot: Snapshot) -> str:
    """Empty if requests can be answered."""
    if snapshot.is_draining:
        return "the agent is stopping"
    # First: a backend that has never been healthy is why the proxy has never been asked.
    if snapshot.unhealthy:
        return f"the backend is not healthy: {snapshot.unhealthy}"
    return why_not_connected(snapshot)
