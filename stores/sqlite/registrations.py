"""Registrations in a file of SQLite: `broker.registrations`, for a proxy that keeps everything else in memory.

One proxy to a file: it is read once, when the proxy starts. Whoever wants to look or to make a copy may, with `sqlite3`
or any other program, while the proxy runs.
"""

import fcntl
import json
import logging
import os
import sqlite3
import threading
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Final

from broker.errors import StoreUnavailable
from broker.model import Backend
from broker.registrations import Registered
from stores.options import decode_options, encode_options
from stores.sqlite.schema import (
    LOCKED,
    NOT_WRITABLE,
    UnusableDatabase,
    bring_up_to_date,
    explain,
    no_folder,
    require_ours,
)
from wire.protocol import BackendId

logger = logging.getLogger(__name__)

PATIENCE: Final = timedelta(seconds=2)
"""How long a change waits for another program that has the file locked."""

_LOCK: Final = "-lock"
"""Behind the name of the file: the one that keeps others out."""

_NOTED_EVERY: Final = timedelta(minutes=10)
"""How far behind the file may be with the time of a backend's last use."""


class SqliteRegistrations:
    """Registrations in a file, which is made where there is none. Each change is on the disk when it is reported.

    Raises `UnusableDatabase` for a file that cannot be used, or not by this version.
    """

    def __init__(self, path: Path, *, patience: timedelta = PATIENCE) -> None:
        self._lock = threading.Lock()  # guards both connections
        self._noted: dict[BackendId, datetime] = {}
        _require_file(path)
        try:
            with ExitStack() as opened:
                self._changes = opened.enter_context(closing(connect(path, patience)))
                opened.enter_context(_keep_others_out(path))
                bring_up_to_date(self._changes)
                self._notes = opened.enter_context(closing(connect(path, timedelta())))
                self._opened = opened.pop_all()
        except sqlite3.Error as exc:
            raise UnusableDatabase(explain(exc, path)) from exc

    def close(self) -> None:
        """Write out what SQLite still keeps beside the file."""
        with self._lock:
            self._opened.close()

    def load(self) -> list[Registered]:
        with self._lock:
            rows = self._changes.execute(
                "SELECT id, backend_user, end_user, path_prefixes, hosts, options, last_used FROM backends"
            ).fetchall()
        return [_registered(*row) for row in rows]

    def put(self, backend: Backend) -> None:
        self._change(
            "INSERT INTO backends (id, backend_user, end_user, path_prefixes, hosts, options) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET (backend_user, end_user, path_prefixes, hosts, options)"
            " = (excluded.backend_user, excluded.end_user, excluded.path_prefixes, excluded.hosts, excluded.options)",
            backend.backend_id,
            backend.backend_user,
            backend.end_user,
            json.dumps(backend.path_prefixes),
            json.dumps(backend.hosts),
            encode_options(backend.options),
        )

    def delete(self, backend_id: BackendId) -> None:
        self._change("DELETE FROM backends WHERE id = ?", backend_id)
        self._noted.pop(backend_id, None)

    def note_used(self, backend_id: BackendId, used: datetime) -> None:
        noted = self._noted.get(backend_id)
        if noted is not None and used - noted < _NOTED_EVERY:
            return
        self._noted[backend_id] = used
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._notes.execute("UPDATE backends SET last_used = ? WHERE id = ?", (used.isoformat(), backend_id))
        except sqlite3.Error as exc:
            logger.warning("when a backend was used last is not kept: %s", exc)
        finally:
            self._lock.release()

    def _change(self, statement: str, *values: str) -> None:
        try:
            with self._lock:
                self._changes.execute(statement, values)
        except sqlite3.Error as exc:
            raise StoreUnavailable(f"the registrations' database: {exc}") from exc


def require_usable(path: Path) -> None:
    """Raises `UnusableDatabase` for a file that `SqliteRegistrations` would not take. Changes nothing; one without a
    name is made in its folder, and gone at once."""
    _require_file(path)
    _require_writable(path)
    if not os.path.exists(path):
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            require_ours(connection)
    except sqlite3.Error as exc:
        raise UnusableDatabase(explain(exc, path)) from exc


def _require_file(path: Path) -> None:
    """Raises `UnusableDatabase` for a folder or a device."""
    # Those of `Path` raise where the folder may not be read.
    if os.path.exists(path) and not os.path.isfile(path):
        raise UnusableDatabase("is no file, but must be one, or a place where one can be made")


def _require_writable(path: Path) -> None:
    """Raises `UnusableDatabase` where the file, or one of those that there are beside it while it is in use, may not be
    written or made."""
    files = (f"{path}{suffix}" for suffix in ("", _LOCK, "-wal", "-shm"))
    if not all(os.access(file, os.W_OK, effective_ids=True) for file in files if os.path.exists(file)):
        raise UnusableDatabase(NOT_WRITABLE)
    try:
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as exc:
        raise UnusableDatabase(no_folder(path)) from exc


def connect(path: Path, patience: timedelta) -> sqlite3.Connection:
    """The file, each of whose changes is on the disk when it is made, by itself. Raises `sqlite3.Error`."""
    connection = sqlite3.connect(path, timeout=patience.total_seconds(), isolation_level=None, check_same_thread=False)
    try:
        # Readers and a writer do not wait for one another; FULL: what is reported is on the disk.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _keep_others_out(path: Path) -> BinaryIO:
    """A file beside the database, whose lock the kernel takes back when the process ends, however it ends. SQLite's own
    locks would keep out those too who only read."""
    try:
        file = path.with_name(f"{path.name}{_LOCK}").open("ab")
    except OSError as exc:
        raise UnusableDatabase(NOT_WRITABLE) from exc
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        file.close()
        raise UnusableDatabase(LOCKED) from exc
    return file


def _registered(
    backend_id: str, backend_user: str, end_user: str, path_prefixes: str, hosts: str, options: str, last_used: str
) -> Registered:
    try:
        backend = Backend(
            backend_id=BackendId(backend_id),
            backend_user=backend_user,
            end_user=end_user,
            path_prefixes=tuple(json.loads(path_prefixes)),
            hosts=tuple(json.loads(hosts)),
            options=decode_options(options),
        )
        return Registered(backend, datetime.fromisoformat(last_used).astimezone(UTC) if last_used else None)
    except (ValueError, TypeError) as exc:
        raise UnusableDatabase(f"backend {backend_id!r} cannot be read: {exc}") from exc
