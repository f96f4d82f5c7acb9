"""The metadata server of a Google machine: tokens of its service account.

https://cloud.google.com/compute/docs/metadata/overview
"""

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from agent.identity.credentials import is_bearer_token
from agent.identity.errors import CredentialsError, UnusableCredentials
from agent.identity.tokens import Token, jwt_token
from agent.transport.client import HttpClient
from agent.transport.connections import ConnectionPool
from agent.transport.errors import TransportError
from wire.headers import Headers
from wire.http1 import RequestHead

DEFAULT_HOST: Final = "169.254.169.254"

_ACCOUNT: Final = "/computeMetadata/v1/instance/service-accounts/default"
_CONNECT_SECONDS: Final = 1.0
"""It is one hop away."""

_ANSWER_SECONDS: Final = 5.0
_ANSWER_BYTES: Final = 16 * 1024
_PROBES: Final = 3


class MetadataServer:
    """The one at `host` (`HOST` or `HOST:PORT`). Never reached by an outbound proxy."""

    def __init__(
        self, host: str, *, wall_clock: Callable[[], float], connect_timeout: float = _CONNECT_SECONDS
    ) -> None:
        self._host = host
        self._wall_clock = wall_clock
        self._client = HttpClient(ConnectionPool(f"http://{host}", size=1, connect_timeout=connect_timeout))

    @property
    def description(self) -> str:
        return f"the service account of this machine, from its metadata server {self._host}"

    def is_there(self) -> bool:
        """True if a metadata server answers; a machine without one makes this wait for some seconds."""
        for _ in range(_PROBES):
            try:
                self._require(self._get("/")[0])
            except UnusableCredentials:
                return False
            except CredentialsError:
                continue
            return True
        return False

    def access_token(self, scopes: Sequence[str]) -> Token:
        """Raises `CredentialsError`."""
        status, text = self._get(f"{_ACCOUNT}/token?scopes={quote(','.join(scopes), safe='')}")
        self._require(status)
        try:
            decoded: object = json.loads(text)
        except ValueError:
            decoded = None
        token, life = (decoded.get("access_token"), decoded.get("expires_in")) if isinstance(decoded, dict) else (0, 0)
        if not isinstance(token, str) or not is_bearer_token(token) or not isinstance(life, int | float):
            raise CredentialsError(f"no access token: the metadata server {self._host} did not answer with one")
        return Token(token, float(life))

    def id_token(self, audience: str) -> Token:
        """An OIDC ID token that says which machine calls. Raises `CredentialsError`."""
        status, text = self._get(f"{_ACCOUNT}/identity?audience={quote(audience, safe='')}&format=full")
        self._require(status)
        try:
            return jwt_token(text.strip(), wall_time=self._wall_clock())
        except ValueError as exc:
            raise CredentialsError(f"no ID token: the metadata server {self._host} gave {exc}") from None

    def _require(self, status: int) -> None:
        if status == 404:
            raise UnusableCredentials(
                f"no token: this machine has no service account (its metadata server {self._host} knows none);"
                " give it one, or name credentials with --credentials"
            )
        if status != 200:
            raise CredentialsError(f"no token: the metadata server {self._host} answered with status {status}")

    def _get(self, target: str) -> tuple[int, str]:
        """Status and text. Raises `UnusableCredentials` when what answers is not a metadata server."""
        head = RequestHead("GET", target, Headers([("Host", self._host), ("Metadata-Flavor", "Google")]), None)
        try:
            with closing(self._client.call(head, limit=_ANSWER_SECONDS)) as reply:
                text = reply.read(_ANSWER_BYTES).decode("utf-8", "replace")
        except TransportError as exc:
            raise CredentialsError(f"no token: the metadata server {self._host} does not answer: {exc}") from exc
        # One that is still coming up may have something else answer for it.
        if reply.head.headers.get("Metadata-Flavor") != "Google" and reply.head.status < 500:
            raise UnusableCredentials(f"no token: what answers at {self._host} is not a metadata server")
        return reply.head.status, text


def is_google_machine(product_name: Path) -> bool:
    """True where the firmware says so (Linux: `/sys/class/dmi/id/product_name`): there a metadata server will come."""
    try:
        return product_name.read_text(encoding="ascii", errors="replace").startswith("Google")
    except OSError:
        return False
