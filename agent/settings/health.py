"""The flags about checking the backend's health."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from agent.commandline.flags import Flag, FlagError
from agent.commandline.parsing import boolean, duration, number
from agent.settings.group import Group


@dataclass(frozen=True, slots=True)
class HealthSettings(Group):
    """What the agent was told about health checks."""

    health_check_path: str
    health_check_interval_seconds: int
    """0 for no checks."""
    health_check_unhealthy_threshold: int
    """0 counts as 1, as in the original."""
    health_check_timeout: timedelta
    exit_when_unhealthy: bool

    def check(self) -> None:
        if self.health_check_interval_seconds and not self.health_check_timeout:
            raise FlagError("--health-check-timeout is '0': expected a duration, because every wait has an end")


def _parse_path(text: str) -> str:
    path = text if text.startswith("/") else f"/{text}"
    if not all("!" <= character <= "~" for character in path) or "#" in path:
        raise ValueError("not a path")
    return path


FLAGS: Final = (
    Flag("health-check-path", "/", "a path", "Path of the backend that is asked.", _parse_path),
    number("health-check-interval-seconds", "0", "Seconds from check to check; 0 for none.", least=0, most=86_400),
    number("health-check-unhealthy-threshold", "2", "Failures in a row that end service.", least=0, most=1_000),
    duration("health-check-timeout", timedelta(seconds=5), "Limit of one check."),
    boolean("exit-when-unhealthy", "Exit when the backend is unhealthy, instead of checking until it is well again."),
)
