"""`stores.sqlite.sign_outs`: who has signed out, in the file of registrations."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from stores.sqlite.registrations import SqliteRegistrations
from stores.sqlite.sign_outs import SqliteSignOuts
from tests.fakes.clock import NOON

HOUR = timedelta(hours=1)


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A file that registrations have open."""
    with closing(SqliteRegistrations(tmp_path / "proxy.sqlite3")):
        yield tmp_path / "proxy.sqlite3"


def test_a_sign_out_is_there_after_a_restart_with_its_end(path: Path) -> None:
    SqliteSignOuts(path).keep("s", ends=NOON + HOUR, now=NOON)
    SqliteSignOuts(path).keep("s", ends=NOON + HOUR, now=NOON)

    assert SqliteSignOuts(path).load() == {"s": NOON + HOUR}


def test_it_leaves_the_file_with_the_next_one_after_its_end(path: Path) -> None:
    sign_outs = SqliteSignOuts(path)
    sign_outs.keep("s", ends=NOON + HOUR, now=NOON)
    sign_outs.keep("t", ends=NOON + 3 * HOUR, now=NOON + HOUR)

    assert sign_outs.load() == {"t": NOON + 3 * HOUR}


def test_the_file_has_so_many_and_no_more_in_their_order(path: Path) -> None:
    sign_outs = SqliteSignOuts(path, capacity=2)
    for name in "cab":
        sign_outs.keep(name, ends=NOON + HOUR, now=NOON)

    assert list(sign_outs.load()) == ["a", "b"]


def test_one_that_cannot_be_kept_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(sqlite3.connect(tmp_path / "without-tables.sqlite3")):
        SqliteSignOuts(tmp_path / "without-tables.sqlite3").keep("s", ends=NOON + HOUR, now=NOON)

    assert caplog.messages == ["a sign-out is not kept over a restart: no such table: sign_outs"]
