"""The identity token of the Compute Engine VM this runs on, from its metadata server; nothing elsewhere.

https://cloud.google.com/compute/docs/instances/verifying-instance-identity
"""

import base64
import json
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from agent.identity.credentials import is_bearer_token
from agent.transport.client import HttpClient
from agent.transport.connections import ConnectionPool
from agent.transport.errors import TransportError
from wire.headers import Headers
from wire.http1 import RequestHead
from wire.protocol import VM_ID

logger = logging.getLogger(__name__)

_PATH: Final = "/computeMetadata/v1/instance/service-accounts/default/identity"
_CONNECT_SECONDS: Final = 0.3
"""A metadata server is one hop away, and the first poll waits for this."""

_ANSWER_SECONDS: Final = 2.0
_TOKEN_BYTES: Final = 16 * 1024
_RETRY_SECONDS: Final = 300.0
_REFRESH_AT: Final = 0.8
"""Share of a token's life after which a new one is fetched."""


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    refresh_at: float
    expires_at: float


class VmIdentity:
    """`Credentials` that show which VM calls. Never an error: where there is no token, there is no field."""

    def __init__(self, metadata_host: str, *, audience: str, now: Callable[[], float]) -> None:
        self._client = HttpClient(ConnectionPool(f"http://{metadata_host}", size=1, connect_timeout=_CONNECT_SECONDS))
        headers = Headers([("Host", metadata_host), ("Metadata-Flavor", "Google")])
        self._head = RequestHead("GET", f"{_PATH}?audience={quote(audience, safe='')}&format=full", headers, None)
        self._now = now
        self._lock = threading.Lock()  # guards the two below
        self._token: _Token | None = None
        self._ask_at = 0.0

    def fields(self) -> Sequence[tuple[str, str]]:
        with self._lock:
            now = self._now()
            if now >= self._ask_at:
                self._ask(now)
            is_alive = self._token is not None and now < self._token.expires_at
            return ((VM_ID, self._token.text),) if is_alive and self._token else ()

    def _ask(self, now: float) -> None:
        try:
            self._token = self._fetch(now)
            self._ask_at = self._token.refresh_at
        except (TransportError, ValueError) as exc:
            logger.debug("no VM identity: %s", exc)
            self._ask_at = now + _RETRY_SECONDS

    def _fetch(self, now: float) -> _Token:
        with closing(self._client.call(self._head, limit=_ANSWER_SECONDS)) as reply:
            text = reply.read(_TOKEN_BYTES).decode("ascii").strip()
        if reply.head.status != 200 or reply.head.headers.get("Metadata-Flavor") != "Google":
            raise ValueError(f"status {reply.head.status} from what may not be a metadata server")
        life = _life_of(text)
        return _Token(text, now + life * _REFRESH_AT, now + life)

    def refresh(self) -> None:
        with self._lock:
            self._ask_at = 0.0


def _life_of(token: str) -> float:
    """The seconds between issue and end of a JSON Web Token (RFC 7519); the local clock plays no part.

    Raises `ValueError` for anything else.
    """
    parts = token.split(".")
    if len(parts) != 3 or not is_bearer_token(token):
        raise ValueError("not a JSON Web Token")
    claims: object = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    if not isinstance(claims, dict) or not all(isinstance(claims.get(name), int) for name in ("iat", "exp")):
        raise ValueError("a JSON Web Token without times")
    return float(claims["exp"] - claims["iat"])
