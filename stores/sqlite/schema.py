"""The tables of the stand-alone proxy's database, from the first version to this one."""

import sqlite3
from pathlib import Path
from typing import Final

APPLICATION_ID: Final = 0x69707278
"""Says in the file whose it is (`PRAGMA application_id`): "iprx"."""

MIGRATIONS: Final = (
    # 1: the fields of the original, lists as JSON.
    "CREATE TABLE backends ("
    " id TEXT NOT NULL PRIMARY KEY, backend_user TEXT NOT NULL, end_user TEXT NOT NULL, path_prefixes TEXT NOT NULL,"
    " last_used TEXT NOT NULL DEFAULT '')",
    # 2: ours.
    "ALTER TABLE backends ADD COLUMN hosts TEXT NOT NULL DEFAULT '[]';"
    " ALTER TABLE backends ADD COLUMN options TEXT NOT NULL DEFAULT ''",
    # 3: sessions that were ended before their time, which is in seconds since 1970.
    "CREATE TABLE sign_outs (session TEXT NOT NULL PRIMARY KEY, ends INTEGER NOT NULL)",
)
"""What makes of each version the next; a file says in `PRAGMA user_version` which it is. None is ever changed here."""


LOCKED: Final = "is locked by another program: end that, or name another file"
NOT_WRITABLE: Final = (
    "cannot be written: may this user write the file, those beside it (-lock, -wal, -shm) and its folder?"
)


class UnusableDatabase(Exception):
    """The file cannot be used; the text says why, and what to do."""


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Make the tables, or of older ones those of this version: all of it or nothing.

    Raises `UnusableDatabase` for another program's file, a broken one and one of a later version; `sqlite3.Error`.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = require_ours(connection)
        for number, migration in enumerate(MIGRATIONS[version:], start=version + 1):
            for statement in migration.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    except BaseException:
        # After some errors SQLite has done so itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def require_ours(connection: sqlite3.Connection) -> int:
    """The version of its tables, 0 for an empty file. Raises as `bring_up_to_date` does."""
    [(sound,)] = connection.execute("PRAGMA quick_check(1)").fetchall()
    if sound != "ok":
        raise UnusableDatabase(f"is damaged ({sound}): put a copy of it in its place")
    [(version,)], [(owner,)] = (
        connection.execute(f"PRAGMA {name}").fetchall() for name in ("user_version", "application_id")
    )
    [(tables,)] = connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    if owner != APPLICATION_ID and (owner or version or tables):
        raise UnusableDatabase("is the database of another program: name another file")
    if version > len(MIGRATIONS):
        raise UnusableDatabase(
            f"was written by a later version of this proxy (its tables are of version {version}, those here of "
            f"{len(MIGRATIONS)}): run that one, or name another file"
        )
    return int(version)


def no_folder(path: Path) -> str:
    """What is said of a file that cannot be opened or made."""
    return f"cannot be opened: is there a folder {str(path.parent)!r}, and may this user write there?"


def explain(exc: sqlite3.Error, path: Path) -> str:
    """What an error of SQLite means for whoever has named the file."""
    code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_CANTOPEN:
        return no_folder(path)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return NOT_WRITABLE
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LOCKED
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return f"is no database, or a damaged one ({exc}): put a copy of it in its place, or name another file"
    return f"cannot be used: {exc}"
