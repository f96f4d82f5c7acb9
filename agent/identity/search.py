"""Which Google account this machine offers: gcloud's, application default credentials, or the machine's own."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.identity.accounts import Account
from agent.identity.errors import UnusableCredentials
from agent.identity.gcloud import GcloudAccount, read_active_account
from agent.identity.machine import GoogleMachine
from agent.identity.metadata import MetadataServer, is_google_machine

if TYPE_CHECKING:
    from agent.identity.google_calls import GoogleCalls

logger = logging.getLogger(__name__)


def find_account(
    machine: GoogleMachine, *, calls: Callable[[], "GoogleCalls"], wall_clock: Callable[[], float]
) -> Account:
    """The account to be, in this order; nothing is asked of Google yet.

    `calls` makes what calls Google; it is asked for only when it is needed, because importing it takes its
    time. `wall_clock` gives the seconds since 1970. Raises `UnusableCredentials` for an
    account that cannot be read, and when there is none: a broken one is never skipped for the next.
    """
    account = _Search(machine, calls, wall_clock).find()
    logger.info("credentials: %s", account.description)
    return account


class _Search:
    def __init__(
        self, machine: GoogleMachine, calls: Callable[[], "GoogleCalls"], wall_clock: Callable[[], float]
    ) -> None:
        self._machine = machine
        self._calls = calls
        self._wall_clock = wall_clock
        self._looked_for: list[str] = []

    def find(self) -> Account:
        return self._gcloud() or self._file_named() or self._well_known_file() or self._own()

    def _gcloud(self) -> Account | None:
        machine = self._machine
        found = read_active_account(
            machine.gcloud_folder, configuration=machine.gcloud_configuration, properties=machine.gcloud_properties
        )
        if found is not None and found.stored is not None:
            return self._gcloud_account(found, found.stored)
        lacks = f"gcloud stores nothing for its account {found.name}" if found else "no active account of gcloud"
        self._looked_for.append(f"{lacks} ({machine.gcloud_folder})")
        return None

    def _gcloud_account(self, found: GcloudAccount, stored: Mapping[str, Any]) -> Account:
        description = f"gcloud's active account {found.name}"
        account = self._stored(stored, description, token_url=found.token_url, iam_endpoint=found.iam_endpoint)
        if not found.impersonates:
            return account
        from agent.identity.google import gcloud_impersonation

        return gcloud_impersonation(account, found.impersonates, calls=self._calls(), iam_endpoint=found.iam_endpoint)

    def _file_named(self) -> Account | None:
        path = self._machine.credentials_file
        if path is None:
            self._looked_for.append("GOOGLE_APPLICATION_CREDENTIALS is not set")
            return None
        return self._from_file(path, f"the account in {path} (GOOGLE_APPLICATION_CREDENTIALS)")

    def _well_known_file(self) -> Account | None:
        path = self._machine.well_known_file
        if not path.is_file():
            self._looked_for.append(f"no file {path}")
            return None
        return self._from_file(path, f"the account in {path}")

    def _own(self) -> Account:
        machine = self._machine
        if machine.may_have_metadata_server:
            server = MetadataServer(machine.metadata_host, wall_clock=self._wall_clock)
            # Where one has to be it may still be coming up: that is waited for while the agent runs.
            if machine.has_metadata_server or is_google_machine(machine.product_name) or server.is_there():
                return server
        self._looked_for.append(f"no metadata server at {machine.metadata_host}")
        looked_for = "; ".join(f"{number}. {text}" for number, text in enumerate(self._looked_for, 1))
        raise UnusableCredentials(
            f"no Google credentials on this machine: {looked_for}. Run `gcloud auth login`, or name others:"
            " --credentials=file:PATH for a token in a file, --credentials=none for a proxy that asks for nothing"
        )

    def _from_file(self, path: Path, description: str) -> Account:
        try:
            stored: object = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as exc:
            raise UnusableCredentials(f"{description} cannot be read: {type(exc).__name__}") from None
        if not isinstance(stored, dict):
            raise UnusableCredentials(f"{description} cannot be read: not a JSON object")
        return self._stored(stored, description)

    def _stored(
        self, stored: Mapping[str, Any], description: str, *, token_url: str = "", iam_endpoint: str = ""
    ) -> Account:
        # google.auth takes its time to import: only those pay who need it.
        from agent.identity.google import stored_account

        return stored_account(
            stored,
            description=description,
            calls=self._calls(),
            token_url=token_url,
            iam_endpoint=iam_endpoint,
        )
