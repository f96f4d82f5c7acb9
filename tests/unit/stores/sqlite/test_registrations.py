"""Registrations in a file of SQLite: what is there after a restart, and what is said of files that cannot be used."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from broker.errors import StoreUnavailable
from broker.model import Options, Sharing
from broker.registrations import Registered
from stores.sqlite.registrations import SqliteRegistrations, require_usable
from stores.sqlite.schema import UnusableDatabase
from tests.factories import BACKEND, a_backend
from tests.fakes.clock import NOON
from tests.rights import folder_of_everybody, without_privileges
from wire.protocol import BackendId

WHOLE = a_backend(
    "Jupyter-1",
    end_user="\u00dc.User@example.com",
    path_prefixes=("/a", "/\u00e4"),
    hosts=("a.org", "*.b.org"),
    options=Options(agents=Sharing.STANDBY, max_exchanges=7, shim_path="websocket-shim"),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "proxy.sqlite3"


def after_a_restart(path: Path) -> list[Registered]:
    with closing(SqliteRegistrations(path)) as registrations:
        return registrations.load()


def in_a_copy(path: Path) -> list[Registered]:
    """What a copy has that is made while a proxy has the file, as docs/standalone.md says."""
    copy = path.with_name("copy.sqlite3")
    with closing(sqlite3.connect(path)) as opened, closing(sqlite3.connect(copy)) as target:
        opened.backup(target)
    return after_a_restart(copy)


def what_is_said_of(path: Path) -> str:
    with pytest.raises(UnusableDatabase) as caught, closing(SqliteRegistrations(path, patience=timedelta())) as opened:
        opened.load()
    return str(caught.value)


def test_a_new_file_is_empty(path: Path) -> None:
    assert after_a_restart(path) == []


def test_registrations_are_there_after_a_restart(path: Path) -> None:
    with closing(SqliteRegistrations(path)) as registrations:
        registrations.put(WHOLE)
        registrations.put(a_backend(path_prefixes=("/old",), hosts=("old.org",)))
        registrations.put(a_backend())
        registrations.put(a_backend("gone"))
        registrations.delete(BackendId("gone"))

    assert after_a_restart(path) == [Registered(WHOLE), Registered(a_backend())]


def test_a_change_is_in_the_file_when_it_is_reported_also_without_a_proper_end(path: Path) -> None:
    registrations = SqliteRegistrations(path)
    registrations.put(WHOLE)

    assert in_a_copy(path) == [Registered(WHOLE)]
    registrations.close()


def test_the_last_use_is_kept_now_and_then(path: Path) -> None:
    with closing(SqliteRegistrations(path)) as registrations:
        registrations.put(a_backend())
        registrations.note_used(BACKEND, NOON)
        registrations.note_used(BACKEND, NOON + timedelta(minutes=9))

        assert in_a_copy(path) == [Registered(a_backend(), NOON)]
        registrations.note_used(BACKEND, NOON + timedelta(minutes=10))
        registrations.put(a_backend())
        assert in_a_copy(path) == [Registered(a_backend(), NOON + timedelta(minutes=10))]


def test_what_is_registered_anew_has_no_past(path: Path) -> None:
    with closing(SqliteRegistrations(path)) as registrations:
        registrations.put(a_backend())
        registrations.note_used(BACKEND, NOON)
        registrations.delete(BACKEND)
        registrations.put(a_backend())
        assert registrations.load() == [Registered(a_backend())]
        registrations.note_used(BACKEND, NOON)
        assert registrations.load() == [Registered(a_backend(), NOON)]


def test_a_use_that_cannot_be_kept_stops_nobody(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(SqliteRegistrations(path)) as registrations, closing(sqlite3.connect(path)) as other:
        registrations.put(a_backend())
        other.execute("BEGIN IMMEDIATE")
        registrations.note_used(BACKEND, NOON)

    assert caplog.messages == ["when a backend was used last is not kept: database is locked"]
    assert after_a_restart(path) == [Registered(a_backend())]


def test_a_change_that_cannot_be_kept_is_an_error_of_the_store(path: Path) -> None:
    with (
        closing(SqliteRegistrations(path, patience=timedelta())) as registrations,
        closing(sqlite3.connect(path)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="^the registrations' database: database is locked$"):
            registrations.put(a_backend())


def test_a_locked_file_is_named_so(path: Path) -> None:
    after_a_restart(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")

        assert what_is_said_of(path) == "is locked by another program: end that, or name another file"


def test_a_second_proxy_does_not_get_the_file_until_the_first_has_ended(path: Path) -> None:
    with closing(SqliteRegistrations(path)) as first:
        assert what_is_said_of(path) == "is locked by another program: end that, or name another file"
        require_usable(path)
        first.put(WHOLE)

    assert after_a_restart(path) == [Registered(WHOLE)]


def test_a_file_in_no_folder_is_named_so(tmp_path: Path) -> None:
    said = what_is_said_of(tmp_path / "missing" / "proxy.sqlite3")

    assert said == f"cannot be opened: is there a folder '{tmp_path}/missing', and may this user write there?"


def test_a_file_can_be_checked_and_is_left_as_it_is(tmp_path: Path, path: Path) -> None:
    require_usable(path)
    assert list(tmp_path.iterdir()) == []
    after_a_restart(path)
    before = path.read_bytes()

    require_usable(path)

    assert path.read_bytes() == before


def test_what_a_check_finds_is_said_in_the_same_words(tmp_path: Path, path: Path) -> None:
    missing = tmp_path / "missing" / "proxy.sqlite3"
    path.write_bytes(b"[backends]\n" * 1000)

    for each in (missing, path):
        with pytest.raises(UnusableDatabase) as caught:
            require_usable(each)
        assert str(caught.value) == what_is_said_of(each)


@pytest.mark.parametrize("place", ["/dev/null", "/proc"])
def test_what_is_no_file_is_named_so_by_the_check_and_by_the_start(place: str) -> None:
    with pytest.raises(UnusableDatabase, match="^is no file, but must be one") as caught:
        require_usable(Path(place))

    assert what_is_said_of(Path(place)) == str(caught.value)


def test_a_folder_in_which_no_file_can_be_made_is_found_by_the_check() -> None:
    """Not even root makes one in `/proc`."""
    with pytest.raises(UnusableDatabase, match="^cannot be opened: is there a folder '/proc'"):
        require_usable(Path("/proc/proxy.sqlite3"))


@pytest.mark.parametrize("left", ["", "-lock", "-wal", "-shm"])
def test_a_file_that_may_not_be_written_is_found_by_the_check_and_so_are_those_beside_it(left: str) -> None:
    with folder_of_everybody() as folder:
        path = folder / "proxy.sqlite3"
        after_a_restart(path)
        path.chmod(0o666)
        path.with_name(f"{path.name}-lock").chmod(0o666)
        path.with_name(f"{path.name}{left}").touch()
        path.with_name(f"{path.name}{left}").chmod(0o444)
        before = sorted((file.name, file.stat().st_mtime_ns) for file in folder.iterdir())

        with without_privileges(), pytest.raises(UnusableDatabase) as caught:
            require_usable(path)

        assert str(caught.value).startswith("cannot be written: may this user write the file, those beside it")
        assert sorted((file.name, file.stat().st_mtime_ns) for file in folder.iterdir()) == before


def test_a_folder_that_may_not_be_written_is_found_by_the_check_also_where_the_file_may() -> None:
    with folder_of_everybody() as folder:
        path = folder / "proxy.sqlite3"
        with closing(sqlite3.connect(path)) as untouched:
            untouched.execute("PRAGMA user_version = 0")
        path.touch()
        path.chmod(0o666)
        path.with_name(f"{path.name}-lock").touch()
        path.with_name(f"{path.name}-lock").chmod(0o666)
        folder.chmod(0o555)

        with without_privileges(), pytest.raises(UnusableDatabase, match="^cannot be opened: is there a folder"):
            require_usable(path)


def test_a_lock_that_may_not_be_taken_is_said_by_the_start_as_by_the_check() -> None:
    with folder_of_everybody() as folder:
        path = folder / "proxy.sqlite3"
        path.with_name(f"{path.name}-lock").touch(0o444)

        with without_privileges():
            said = what_is_said_of(path)
            with pytest.raises(UnusableDatabase) as caught:
                require_usable(path)

    assert said == str(caught.value)


def test_what_is_no_database_is_named_so(path: Path) -> None:
    path.write_bytes(b"[backends]\n" * 1000)

    assert what_is_said_of(path).startswith("is no database, or a damaged one (file is not a database): ")


def test_a_damaged_database_is_named_so(path: Path) -> None:
    with closing(SqliteRegistrations(path)) as registrations:
        for number in range(200):
            registrations.put(a_backend(f"backend-{number}", path_prefixes=("/" + "x" * 100,)))
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * 8192 + whole[16384:])

    assert "damaged" in what_is_said_of(path)


def test_a_row_that_was_spoilt_by_hand_is_named(path: Path) -> None:
    after_a_restart(path)
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("INSERT INTO backends (id, backend_user, end_user, path_prefixes) VALUES ('x', '', '', '/')")

    assert what_is_said_of(path).startswith("backend 'x' cannot be read: Expecting value")
