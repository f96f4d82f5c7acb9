"""The tables of the registrations' database: every older version becomes this one, and no later one is touched."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from broker.model import Options
from broker.registrations import Registered
from stores.sqlite.registrations import SqliteRegistrations
from stores.sqlite.schema import APPLICATION_ID, MIGRATIONS, UnusableDatabase, bring_up_to_date, explain
from tests.factories import a_backend
from tests.fakes.clock import NOON

DUMPS: Final = Path(__file__).parent / "databases"
"""A file as each version left it, in SQL: what `sqlite3 FILE .dump` prints, and the two pragmas."""

OURS: Final = [
    Registered(a_backend("one", end_user="me@example.com", path_prefixes=("/a", "/b/")), NOON),
    Registered(a_backend("two", hosts=("a.org",), options=Options(max_queue=7))),
]
"""What the file of the newest version holds."""

VERSIONS: Final = range(1, len(MIGRATIONS) + 1)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection


def restored(version: int, path: Path) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((DUMPS / f"version-{version}.sql").read_text())
    return path


def tables_of(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return connection.execute(
        'SELECT tables.name, columns.name, columns.type, "notnull", dflt_value, columns.pk'
        " FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'"
        " ORDER BY tables.name, cid"
    ).fetchall()


def test_there_is_a_file_of_every_version() -> None:
    assert sorted(path.stem for path in DUMPS.iterdir()) == [f"version-{number}" for number in VERSIONS]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_of_an_older_version_is_read_and_becomes_one_of_this(version: int, tmp_path: Path) -> None:
    path = restored(version, tmp_path / "proxy.sqlite3")
    # Before 2 there were neither hosts nor options.
    expected = OURS if version >= 2 else [OURS[0], Registered(a_backend("two"))]

    with closing(SqliteRegistrations(path)) as registrations:
        assert registrations.load() == expected
    with closing(sqlite3.connect(path)) as upgraded, closing(sqlite3.connect(":memory:", isolation_level=None)) as new:
        bring_up_to_date(new)
        assert upgraded.execute("PRAGMA user_version").fetchall() == [(len(MIGRATIONS),)]
        assert tables_of(upgraded) == tables_of(new)


def test_a_new_file_says_whose_it_is_and_of_which_version(connection: sqlite3.Connection) -> None:
    bring_up_to_date(connection)

    assert connection.execute("PRAGMA application_id").fetchall() == [(APPLICATION_ID,)]
    assert connection.execute("PRAGMA user_version").fetchall() == [(len(MIGRATIONS),)]


def test_a_file_of_this_version_is_left_as_it_is(connection: sqlite3.Connection) -> None:
    bring_up_to_date(connection)
    before = connection.total_changes, list(connection.iterdump())
    bring_up_to_date(connection)

    assert (connection.total_changes, list(connection.iterdump())) == before


def test_a_later_version_is_refused_and_left_as_it_is(connection: sqlite3.Connection) -> None:
    bring_up_to_date(connection)
    connection.execute("PRAGMA user_version = 99")

    with pytest.raises(UnusableDatabase, match=f"later version of this proxy .*99, those here of {len(MIGRATIONS)}"):
        bring_up_to_date(connection)
    assert connection.execute("PRAGMA user_version").fetchall() == [(99,)]


@pytest.mark.parametrize("theirs", ["CREATE TABLE t (x)", "PRAGMA user_version = 1", "PRAGMA application_id = 7"])
def test_another_programs_file_is_refused_and_left_as_it_is(connection: sqlite3.Connection, theirs: str) -> None:
    connection.execute(theirs)
    before = list(connection.iterdump())

    with pytest.raises(UnusableDatabase, match="^is the database of another program: name another file$"):
        bring_up_to_date(connection)
    assert list(connection.iterdump()) == before


def test_a_step_that_fails_undoes_those_before_it(connection: sqlite3.Connection, tmp_path: Path) -> None:
    connection.executescript((DUMPS / "version-1.sql").read_text())
    connection.execute("ALTER TABLE backends ADD COLUMN options TEXT")
    before = list(connection.iterdump())

    with pytest.raises(sqlite3.OperationalError, match="duplicate column"):
        bring_up_to_date(connection)
    assert list(connection.iterdump()) == before
    assert connection.execute("PRAGMA user_version").fetchall() == [(1,)]


def test_a_file_that_cannot_be_written_is_named_so(tmp_path: Path) -> None:
    path = restored(1, tmp_path / "proxy.sqlite3")
    for_reading = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    with closing(for_reading), pytest.raises(sqlite3.OperationalError) as caught:
        bring_up_to_date(for_reading)

    assert explain(caught.value, path).startswith(
        "cannot be written: may this user write the file, those beside it (-lock"
    )


def test_another_error_is_told_as_it_is(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("SELECT")

    assert explain(caught.value, Path("x")) == "cannot be used: incomplete input"


def test_an_error_after_which_sqlite_has_rolled_back_is_the_one_that_is_told() -> None:
    with (
        closing(sqlite3.connect("/dev/null", isolation_level=None)) as connection,
        pytest.raises(sqlite3.Error, match="disk"),
    ):
        bring_up_to_date(connection)
