"""What a row of checks means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.health.tracker import Health, Tracker


def after(checks: str, *, threshold: int = 2) -> Health:
    """The health after checks, each `+` or `-`."""
    tracker = Tracker(threshold)
    for check in checks:
        tracker = tracker.succeeded() if check == "+" else tracker.failed()
    return tracker.health


@pytest.mark.parametrize(
    ("checks", "health"),
    [
        ("", Health.UNKNOWN),
        ("-----", Health.UNKNOWN),
        ("--+", Health.HEALTHY),
        ("+-", Health.HEALTHY),
        ("+-+-+-", Health.HEALTHY),
        ("+--", Health.UNHEALTHY),
        ("+-----", Health.UNHEALTHY),
        ("+--+", Health.HEALTHY),
        ("+--+-", Health.HEALTHY),
        ("-+-", Health.HEALTHY),
    ],
)
def test_so_many_failures_in_a_row_end_health(checks: str, health: Health) -> None:
    assert after(checks) is health


@given(st.text("+-"), st.integers(1, 5))
def test_the_last_checks_decide(checks: str, threshold: int) -> None:
    if "+" not in checks:
        expected = Health.UNKNOWN
    else:
        expected = Health.UNHEALTHY if checks.endswith("-" * threshold) else Health.HEALTHY
    assert after(checks, threshold=threshold) is expected
