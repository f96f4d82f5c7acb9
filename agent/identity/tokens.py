"""Tokens that run out: when each is worth replacing, and the one that is shown meanwhile."""

import base64
import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from agent.backoff import Backoff
from agent.identity.errors import CredentialsError

logger = logging.getLogger(__name__)

_MARGIN_SECONDS: Final = 300.0
_MARGIN_SHARE: Final = 0.2
"""A token is replaced so long before its end: five minutes, or a fifth of a short life."""

_REFUSED_AFTER_SECONDS: Final = 10.0
"""A token younger than this that the proxy refuses is not replaced: another one would be no better."""

_PATIENCE_SECONDS: Final = 15.0
"""The longest that a call to the proxy waits for the first token."""

FETCHING: Final = Backoff(timedelta(seconds=1), timedelta(minutes=1))
"""Between attempts to get a token."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was just issued, and the seconds that it is good for from now on. Its text is never logged."""

    text: str
    life: float

    def __repr__(self) -> str:
        return f"Token(life={self.life:g})"


class KeptToken:
    """The newest token of a source. It is replaced by a thread of its own before it ends, while the old one serves.

    `fetch` gets a token; it raises `CredentialsError`, and bounds its own time. Failures are retried with growing
    pauses, but only when somebody asks for a token.
    """

    def __init__(
        self,
        fetch: Callable[[], Token],
        *,
        name: str,
        now: Callable[[], float],
        jitter: Callable[[], float],
        backoff: Backoff = FETCHING,
    ) -> None:
        """`name` says in the log whose token it is."""
        self._fetch = fetch
        self._name = name
        self._now = now
        self._jitter = jitter
        self._backoff = backoff
        self._changed = threading.Condition()  # guards all below
        self._token: Token | None = None
        self._fetched_at = 0.0
        self._ask_at = 0.0
        self._failures = 0
        self._error: CredentialsError | None = None
        self._is_fetching = False
        self._is_refused = False

    def text(self) -> str:
        """A token that has not run out; waits for one only when there is none. Raises `CredentialsError`."""
        with self._changed:
            if self._now() >= self._ask_at:
                self._begin()
            if not self._is_usable():
                self._changed.wait_for(lambda: not self._is_fetching, timeout=_PATIENCE_SECONDS)
            if self._token is not None and self._is_usable():
                return self._token.text
            if self._error is not None:
                # It is raised to many: without this each would leave its frames behind in it.
                raise self._error.with_traceback(None)
            raise CredentialsError(f"no {self._name}: none came within {_PATIENCE_SECONDS:g} s")

    def refuse(self) -> None:
        """The proxy refused the token: show another one if it may help."""
        with self._changed:
            if self._token is not None and self._now() - self._fetched_at >= _REFUSED_AFTER_SECONDS:
                self._is_refused = True
                self._ask_at = 0.0

    def _is_usable(self) -> bool:
        return self._token is not None and not self._is_refused and self._now() < self._fetched_at + self._token.life

    def _begin(self) -> None:
        if not self._is_fetching:
            self._is_fetching = True
            threading.Thread(target=self._renew, name="token", daemon=True).start()

    def _renew(self) -> None:
        token: Token | None = None
        error: CredentialsError | None = None
        try:
            token = self._fetch()
        except CredentialsError as exc:
            error = exc
        except Exception as exc:
            # Not its text, which may quote what was received.
            logger.error("no %s: the agent failed with %s", self._name, type(exc).__name__)
            error = CredentialsError(f"no {self._name}: the agent failed with {type(exc).__name__}")
        with self._changed:
            if token is not None:
                self._keep(token)
            else:
                self._fail(error)
            self._is_fetching = False
            # A refused token serves on when there is no other: the proxy may have changed its mind.
            self._is_refused = False
            self._changed.notify_all()

    def _keep(self, token: Token) -> None:
        now = self._now()
        self._token, self._fetched_at, self._error, self._failures = token, now, None, 0
        self._ask_at = now + token.life - min(_MARGIN_SECONDS, token.life * _MARGIN_SHARE)
        logger.debug("a new %s, good for %.0f s", self._name, token.life)

    def _fail(self, error: CredentialsError | None) -> None:
        self._error = error
        delay = self._backoff.delay(self._failures, jitter=self._jitter()).total_seconds()
        self._ask_at = self._now() + delay
        self._failures += 1
        if self._token is not None:
            left = self._fetched_at + self._token.life - self._now()
            logger.warning("the %s is not renewed yet (it has %.0f s left): %s", self._name, max(0.0, left), error)


class ShownToken:
    """`Credentials` that show one token in one field, as a bearer token (RFC 6750 section 2.1)."""

    def __init__(self, token: KeptToken, *, field: str = "Authorization") -> None:
        self._token = token
        self._field = field

    def fields(self) -> Sequence[tuple[str, str]]:
        return ((self._field, f"Bearer {self._token.text()}"),)

    def refresh(self) -> None:
        self._token.refuse()


def jwt_claims(text: str) -> Mapping[str, object]:
    """What a JSON Web Token (RFC 7519) claims; its signature is for the proxy to verify. Raises `ValueError`."""
    parts = text.split(".")
    if len(parts) != 3 or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("not a JSON Web Token")
    claims: object = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    if not isinstance(claims, dict):
        raise ValueError("a JSON Web Token without claims")
    return claims


def jwt_token(text: str, *, wall_time: float) -> Token:
    """A JSON Web Token and its life. `wall_time` counts from 1970; a clock that is clearly wrong plays no part.

    Raises `ValueError`.
    """
    claims = jwt_claims(text)
    issued_at, ends_at = claims.get("iat"), claims.get("exp")
    if not isinstance(issued_at, int | float) or not isinstance(ends_at, int | float):
        raise ValueError("a JSON Web Token without times")
    whole, left = float(ends_at) - float(issued_at), float(ends_at) - wall_time
    return Token(text, left if 0 < left <= whole else whole)
