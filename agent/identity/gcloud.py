"""The active account of the Google Cloud CLI, read from its folder (`~/.config/gcloud`); nothing is run or written.

The README of the original has users mount that folder and register the account that `gcloud auth list` shows as active.
Layout: `google-cloud-sdk/lib/googlecloudsdk/core/config.py`, `core/properties.py` and `core/credentials/creds.py` of
the CLI.
"""

import configparser
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.identity.errors import UnusableCredentials


@dataclass(frozen=True, slots=True)
class GcloudAccount:
    """The active account, and the properties of the CLI that bear on its tokens."""

    name: str
    stored: Mapping[str, Any] | None
    """What the CLI stores for it, a JSON object with a `type`; None for nothing, as for the account of a VM."""
    token_url: str
    """Where its tokens are issued (property `auth/token_host`); empty for Google's own."""
    impersonates: tuple[str, ...]
    """`auth/impersonate_service_account`: the service account to be, behind those on the way to it."""
    iam_endpoint: str
    """`api_endpoint_overrides/iamcredentials`; empty for Google's own."""

    def __repr__(self) -> str:
        return f"GcloudAccount({self.name!r})"


def read_active_account(
    folder: Path, *, configuration: str = "", properties: Mapping[str, str] | None = None
) -> GcloudAccount | None:
    """The active account; None when there is none.

    `configuration` names the configuration to use, empty for the active one; `properties` are the variables
    (`CLOUDSDK_SECTION_NAME`) that beat it. Raises `UnusableCredentials` for files that cannot be read.
    """
    try:
        chosen = _Properties(folder, configuration or _active_configuration(folder), properties or {})
        account = chosen.get("core", "account")
        if not account:
            return None
        return GcloudAccount(
            account,
            _stored(folder, account),
            token_url=chosen.get("auth", "token_host"),
            impersonates=_names(chosen.get("auth", "impersonate_service_account")),
            iam_endpoint=chosen.get("api_endpoint_overrides", "iamcredentials"),
        )
    except (sqlite3.Error, OSError, ValueError, RecursionError, configparser.Error) as exc:
        raise UnusableCredentials(
            f"gcloud's folder {folder} cannot be read ({type(exc).__name__}): may this user read it? Else:"
            " `gcloud auth login`, or name other credentials with --credentials"
        ) from exc


class _Properties:
    def __init__(self, folder: Path, configuration: str, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._parser = configparser.ConfigParser(interpolation=None)
        path = folder / "configurations" / f"config_{configuration}"
        try:
            self._parser.read_string(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return

    def get(self, section: str, name: str) -> str:
        """Empty for one that is not set."""
        variable = f"CLOUDSDK_{section}_{name}".upper()
        return self._environment.get(variable) or self._parser.get(section, name, fallback="") or ""


def _active_configuration(folder: Path) -> str:
    try:
        return (folder / "active_config").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return "default"


def _stored(folder: Path, account: str) -> Mapping[str, Any] | None:
    database = folder / "credentials.db"
    if not database.is_file():
        return None
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        row = connection.execute("SELECT value FROM credentials WHERE account_id = ?", (account,)).fetchone()
    stored: object = json.loads(row[0]) if row else None
    return stored if isinstance(stored, dict) else None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
