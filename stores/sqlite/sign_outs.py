"""Sign-outs in the file of registrations. They are few: the file is opened for each."""

import logging
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from stores.sqlite.registrations import PATIENCE, connect

logger = logging.getLogger(__name__)


class SqliteSignOuts:
    """Sessions that were ended, each until it would have ended by itself; the last `capacity` of them. The file is one
    that `SqliteRegistrations` has open: there, and of this version."""

    def __init__(self, path: Path, *, capacity: int = 100_000) -> None:
        self._path = path
        self._capacity = capacity

    def load(self) -> dict[str, datetime]:
        with closing(connect(self._path, PATIENCE)) as connection:
            rows = connection.execute("SELECT session, ends FROM sign_outs ORDER BY rowid").fetchall()
        return {session_id: datetime.fromtimestamp(ends, UTC) for session_id, ends in rows}

    def keep(self, session_id: str, *, ends: datetime, now: datetime) -> None:
        try:
            with closing(connect(self._path, PATIENCE)) as connection:
                connection.execute("INSERT OR IGNORE INTO sign_outs VALUES (?, ?)", (session_id, _seconds(ends)))
                connection.execute(
                    "DELETE FROM sign_outs WHERE ends <= ? OR rowid <= (SELECT max(rowid) - ? FROM sign_outs)",
                    (_seconds(now), self._capacity),
                )
        except sqlite3.Error as exc:
            logger.warning("a sign-out is not kept over a restart: %s", exc)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
