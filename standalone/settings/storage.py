"""[storage]: what outlives the process."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from standalone.settings.keys import Key
from standalone.settings.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings(Table):
    """What outlives the process."""

    database: Path | None

    NAME: ClassVar = "storage"
    KEYS: ClassVar = (
        Key(
            name="database",
            default="",
            expects="the path of a file",
            help="SQLite file with the backends that the API registers, and who has signed out; made where there is "
            "none. Without it both are gone when the proxy ends.",
            parse=lambda text: Path(text) if text else None,
        ),
    )
