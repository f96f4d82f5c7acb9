"""What a row of checks means: unknown until the first success, unhealthy after so many failures in a row. Pure."""

from dataclasses import dataclass, replace
from enum import Enum


class Health(Enum):
    """What is known of a backend."""

    UNKNOWN = "unknown"
    """It has never been healthy: not started yet, perhaps."""
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Tracker:
    """The health so far; `threshold` failures in a row make a healthy backend unhealthy, one success a healthy one."""

    threshold: int
    health: Health = Health.UNKNOWN
    failures: int = 0
    """Failed checks since the last success."""

    def succeeded(self) -> "Tracker":
        return replace(self, health=Health.HEALTHY, failures=0)

    def failed(self) -> "Tracker":
        failures = self.failures + 1
        is_over = self.health is Health.HEALTHY and failures >= self.threshold
        return replace(self, health=Health.UNHEALTHY if is_over else self.health, failures=failures)
