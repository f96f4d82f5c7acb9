"""Google's credentials of this machine as access tokens. The only module that imports google.auth: it takes its time.

In this order: the active account of the Google Cloud CLI, then application default credentials (a file, a service
account, the metadata server).
"""

import logging
import sqlite3
import threading
from collections.abc import Sequence
from typing import Any, Final

import google.auth
import google.auth.exceptions
import google.auth.transport.requests
import google.oauth2.credentials
import google.oauth2.service_account
import requests

from agent.identity.credentials import bearer
from agent.identity.gcloud import read_active_account
from agent.proxy.errors import CredentialsError
from agent.settings import GoogleEnvironment

logger = logging.getLogger(__name__)

_SCOPES: Final = (
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/userinfo.email",
)


def _transport() -> google.auth.transport.Request:
    session = requests.Session()
    session.trust_env = False
    return google.auth.transport.requests.Request(session)


class GoogleCredentials:
    """An access token, refreshed some minutes before it runs out (google.auth's own margin)."""

    def __init__(
        self, environment: GoogleEnvironment, *, transport: google.auth.transport.Request | None = None
    ) -> None:
        """`transport` makes the calls for tokens."""
        self._environment = environment
        self._lock = threading.Lock()  # guards the two below
        self._credentials: Any = None  # google.auth has no types
        self._is_refused = False
        self._transport = transport or _transport()

    def fields(self) -> Sequence[tuple[str, str]]:
        with self._lock:
            try:
                self._renew()
            except google.auth.exceptions.GoogleAuthError as exc:
                # Its further arguments may quote an answer of the token server.
                raise CredentialsError(f"no Google access token: {str(exc.args[0]) if exc.args else exc}") from exc
            except (sqlite3.Error, OSError, ValueError) as exc:
                raise CredentialsError(f"Google credentials cannot be read: {type(exc).__name__}") from exc
            return (bearer(self._credentials.token),)

    def _renew(self) -> None:
        if self._credentials is None:
            self._credentials = self._find()
        if self._is_refused or not self._credentials.valid:
            self._credentials.refresh(self._transport)
            self._is_refused = False

    def _find(self) -> Any:
        stored = read_active_account(
            self._environment.gcloud_folder, configuration=self._environment.gcloud_configuration
        )
        if stored is not None:
            logger.info("using the active account of the Google Cloud CLI")
            service_account: Any = google.oauth2.service_account.Credentials
            user: Any = google.oauth2.credentials.Credentials
            if stored.get("type") == "service_account":
                return service_account.from_service_account_info(stored, scopes=_SCOPES)
            return user.from_authorized_user_info(stored)
        logger.info("using Google's application default credentials")
        credentials, _ = google.auth.default(scopes=_SCOPES, request=self._transport)
        return credentials

    def refresh(self) -> None:
        with self._lock:
            self._is_refused = True
