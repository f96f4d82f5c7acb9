"""The public keys of those who sign tokens: fetched when needed, kept for a while."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

import requests

from broker.errors import StoreUnavailable
from broker.waiting import Clock

_KEPT_FOR: Final = timedelta(hours=1)
_RENEWED_AFTER: Final = timedelta(minutes=1)
"""An unknown key may be a new one: look again, but not more often than this, or garbage would make us ask each time."""

_TIMEOUT_SECONDS: Final = 5.0
_MAX_KEYS: Final = 100


@dataclass(frozen=True, slots=True)
class _Fetched:
    keys: Mapping[str, str]
    at: datetime


class Certificates:
    """Keys by ID, of one issuer: what `url` serves as a JSON object of PEM texts."""

    def __init__(self, session: requests.Session, clock: Clock, url: str) -> None:
        self._session = session
        self._clock = clock
        self._url = url
        self._lock = Lock()  # guards `_fetched`; held during a fetch, so that one caller fetches for all
        self._fetched: _Fetched | None = None

    def key(self, key_id: str) -> str | None:
        """The PEM text of a key, or None. Raises `StoreUnavailable` when the keys cannot be had."""
        with self._lock:
            if self._fetched is None or self._is_stale(self._fetched, key_id):
                self._fetched = _Fetched(self._fetch(), self._clock.now())
            return self._fetched.keys.get(key_id)

    def _is_stale(self, fetched: _Fetched, key_id: str) -> bool:
        age = self._clock.now() - fetched.at
        return age >= (_KEPT_FOR if key_id in fetched.keys else _RENEWED_AFTER)

    def _fetch(self) -> Mapping[str, str]:
        try:
            response = self._session.get(self._url, timeout=_TIMEOUT_SECONDS, allow_redirects=False)
            response.raise_for_status()
            decoded: object = response.json()
        except requests.RequestException as exc:
            raise StoreUnavailable(f"no certificates from {self._url}: {exc}") from exc
        if response.status_code != 200 or not isinstance(decoded, dict) or len(decoded) > _MAX_KEYS:
            raise StoreUnavailable(f"no certificates from {self._url}: not a small JSON object")
        return {key_id: pem for key_id, pem in decoded.items() if isinstance(pem, str)}
