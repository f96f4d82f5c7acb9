"""Where registrations are kept, and what is said of a database that cannot be used."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from broker.registrations import Registered
from edge.settings import SettingsError
from standalone.settings.load import Settings, load_settings
from standalone.settings.storage import StorageSettings
from standalone.storage import check_database, open_registrations
from tests.factories import a_backend

FIXED = '[[backends]]\nid = "fixed"\nend-user = "allUsers"\nbackend-user = "agent@example.com"\n'


def settings(tmp_path: Path, *, database: str = "", text: str = "") -> Settings:
    (tmp_path / "proxy.toml").write_text(text)
    loaded = load_settings(["--open", f"--config={tmp_path / 'proxy.toml'}"], {})
    return replace(loaded, storage=StorageSettings(database=tmp_path / database if database else None))


def test_without_a_database_nothing_is_kept(tmp_path: Path) -> None:
    with closing(open_registrations(settings(tmp_path))) as registrations:
        registrations.put(a_backend())

        assert registrations.load() == []
    check_database(settings(tmp_path))


def test_in_a_database_backends_outlive_the_process_beside_those_of_the_settings(tmp_path: Path) -> None:
    told = settings(tmp_path, database="proxy.sqlite3", text=FIXED)
    with closing(open_registrations(told)) as registrations:
        registrations.put(a_backend())

    with closing(open_registrations(told)) as registrations:
        assert registrations.load() == [Registered(a_backend()), Registered(a_backend("fixed"))]
    with closing(open_registrations(replace(told, backends=()))) as registrations:
        assert registrations.load() == [Registered(a_backend())]
    left = sorted(path.name for path in tmp_path.glob("proxy.sqlite3*"))
    assert left == ["proxy.sqlite3", "proxy.sqlite3-lock"]


@pytest.mark.parametrize("use", [open_registrations, check_database])
def test_a_database_that_cannot_be_used_is_an_error_of_its_setting(
    tmp_path: Path, use: Callable[[Settings], object]
) -> None:
    told = settings(tmp_path, database="missing/proxy.sqlite3")

    with pytest.raises(SettingsError, match=f"^storage.database: {tmp_path}/missing/proxy.sqlite3 cannot be opened: "):
        use(told)


def test_a_check_makes_no_file(tmp_path: Path) -> None:
    check_database(settings(tmp_path, database="proxy.sqlite3"))

    assert not (tmp_path / "proxy.sqlite3").exists()


def test_an_open_proxy_takes_no_database() -> None:
    with pytest.raises(
        SettingsError, match="^INVERTING_PROXY_STORAGE_DATABASE: with --open every backend exists that an agent names"
    ):
        load_settings(["--open"], {"INVERTING_PROXY_STORAGE_DATABASE": "proxy.sqlite3"})
