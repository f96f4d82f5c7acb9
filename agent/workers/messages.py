"""What the first worker and a helper say to each other. Both are the same program, so the messages are its objects."""

from dataclasses import dataclass

from agent.settings.load import Settings
from agent.telemetry.record import Snapshot


@dataclass(frozen=True, slots=True)
class Serve:
    """To a helper, first of all: what the operator has said. Not on a command line: it may hold secrets."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class Stop:
    """To a helper: ask for no more, finish what runs, end. The end of the socket says the same."""


@dataclass(frozen=True, slots=True)
class Counts:
    """From a helper, every second while something changes, and at its end."""

    snapshots: tuple[Snapshot, ...]
    """One for each backend, in the order of the settings."""


@dataclass(frozen=True, slots=True)
class Unhealthy:
    """From a helper: a backend was healthy and is no more."""
