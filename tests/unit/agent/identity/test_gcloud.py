"""The active account of the Google Cloud CLI."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.identity.errors import UnusableCredentials
from agent.identity.gcloud import read_active_account

ACCOUNTS = {
    "a@example.com": {"type": "authorized_user", "refresh_token": "a"},
    "b@example.com": ["not", "an", "object"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two configurations, `default` for the first account and `work` for the second."""
    (tmp_path / "configurations").mkdir()
    for name, account in (("default", "a@example.com"), ("work", "b@example.com"), ("odd", "%unknown")):
        text = f"[core]\naccount = {account}\nproject = p\n"
        (tmp_path / "configurations" / f"config_{name}").write_text(text)
    with closing(sqlite3.connect(tmp_path / "credentials.db")) as connection, connection:
        connection.execute("CREATE TABLE credentials (account_id TEXT PRIMARY KEY, value BLOB)")
        rows = [(account, json.dumps(stored)) for account, stored in ACCOUNTS.items()]
        connection.executemany("INSERT INTO credentials VALUES (?, ?)", rows)
    return tmp_path


def stored(folder: Path, configuration: str = "") -> object:
    account = read_active_account(folder, configuration=configuration)
    return account.stored if account else None


def test_the_default_configuration_is_active_when_nothing_else_is_said(folder: Path) -> None:
    assert stored(folder) == ACCOUNTS["a@example.com"]


@pytest.mark.parametrize("name", ["work", "odd", "missing"])
def test_a_configuration_without_a_usable_account_gives_none(folder: Path, name: str) -> None:
    (folder / "active_config").write_text(f"{name}\n")
    assert stored(folder) is None


def test_a_named_configuration_beats_the_active_one(folder: Path) -> None:
    (folder / "active_config").write_text("work")
    assert stored(folder, "default") == ACCOUNTS["a@example.com"]


def test_a_machine_without_the_cli_has_no_account(tmp_path: Path) -> None:
    assert read_active_account(tmp_path / "nothing") is None


def test_a_configuration_without_a_database_gives_none(folder: Path) -> None:
    (folder / "credentials.db").unlink()
    assert stored(folder) is None


def test_nothing_is_written(folder: Path) -> None:
    before = sorted(path.name for path in folder.rglob("*"))
    folder.chmod(0o500)
    read_active_account(folder)
    folder.chmod(0o700)
    assert sorted(path.name for path in folder.rglob("*")) == before


def test_variables_of_the_cli_beat_its_configuration(folder: Path) -> None:
    properties = {
        "CLOUDSDK_CORE_ACCOUNT": "c@example.com",
        "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT": "first@example.com, robot@example.com",
        "CLOUDSDK_AUTH_TOKEN_HOST": "https://private.example.com/token",
    }
    account = read_active_account(folder, properties=properties)
    assert account is not None
    assert (account.name, account.stored, account.token_url) == (
        "c@example.com", None, "https://private.example.com/token",
    )  # fmt: skip
    assert account.impersonates == ("first@example.com", "robot@example.com")


@pytest.mark.parametrize("broken", ["credentials.db", "active_config", "configurations/config_default"])
def test_a_file_that_cannot_be_read_is_an_error_that_names_the_folder(folder: Path, broken: str) -> None:
    (folder / broken).write_bytes(b"\xff not what it should be" * 100)
    with pytest.raises(UnusableCredentials, match=f"{folder}.*gcloud auth login"):
        read_active_account(folder)


def test_what_is_stored_is_not_shown(folder: Path) -> None:
    assert "refresh_token" not in repr(read_active_account(folder))
