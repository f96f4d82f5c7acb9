"""The active account of the Google Cloud CLI, read from its folder (`~/.config/gcloud`); nothing is run or written.

The README of the original has users mount that folder and register the account that `gcloud auth list` shows as active.
Layout: `google-cloud-sdk/lib/googlecloudsdk/core/config.py` and `core/credentials/creds.py` of the CLI.
"""

import configparser
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path


def read_active_account(folder: Path, *, configuration: str = "") -> Mapping[str, str] | None:
    """What the CLI stores for its active account: a JSON object with a `type`, of refresh token or service account.

    `configuration` names the configuration to use; empty for the active one. None when there is no such account.
    """
    account = _active_account(folder, configuration or _active_configuration(folder))
    database = folder / "credentials.db"
    if not account or not database.is_file():
        return None
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        row = connection.execute("SELECT value FROM credentials WHERE account_id = ?", (account,)).fetchone()
    stored: object = json.loads(row[0]) if row else None
    return stored if isinstance(stored, dict) else None


def _active_configuration(folder: Path) -> str:
    try:
        return (folder / "active_config").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return "default"


def _active_account(folder: Path, configuration: str) -> str:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(folder / "configurations" / f"config_{configuration}", encoding="utf-8")
    return parser.get("core", "account", fallback="")
