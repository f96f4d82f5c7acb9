"""[log]: what is written to standard error, and how."""

import logging
from dataclasses import dataclass
from typing import ClassVar, Literal

from edge.logs import LogFormat
from standalone.settings.keys import choice
from standalone.settings.table import Table

Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings(Table):
    """What is logged, and how."""

    format: LogFormat
    level: Level

    @property
    def least(self) -> int:
        """The lowest level that is logged, as `logging` counts."""
        return logging.getLevelNamesMapping()[self.level.upper()]

    NAME: ClassVar = "log"
    KEYS: ClassVar = (
        choice("format", "text", ("text", "json"), "How a line is written."),
        choice(
            "level", "info", ("debug", "info", "warning", "error"), "From where on: `info` has a line for each request."
        ),
    )
