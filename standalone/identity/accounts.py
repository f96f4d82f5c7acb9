"""Who agents and administrators are: by tokens of the proxy's own, and by those of an OpenID provider."""

from datetime import datetime
from typing import Final, Protocol

from broker.errors import NotAllowed
from broker.waiting import Clock
from edge.errors import Failure, Refusal
from edge.identity import Caller, bearer_token
from standalone.identity.throttle import REFILL, Throttle
from standalone.identity.tokens import Tokens
from standalone.process.watched import WatchedFile

TOO_MANY_GUESSES: Final = Failure(
    status=429,
    reason="too-many-refusals",
    party="client",
    text="Too many wrong credentials came from this address: correct them, and try again later.",
    headers=(("Retry-After", str(int(REFILL.total_seconds()))),),
)


class Issued(Protocol):
    """Tokens of a provider: `issued.IssuedTokens`."""

    async def account(self, token: str) -> str | None:
        """The account that a token proves, or None for one that proves nothing. Raises `NotAllowed` for an account that
        may not come in, and `StoreUnavailable`."""
        ...

    def known(self, token: str) -> str | None:
        """The account of a token that was good a moment ago."""
        ...


class Accounts:
    """The account behind a bearer token. `throttle` may be shared: what it counts is of an address."""

    def __init__(
        self,
        clock: Clock,
        throttle: Throttle,
        *,
        tokens: WatchedFile[Tokens] | None = None,
        issued: Issued | None = None,
    ) -> None:
        self._clock = clock
        self._throttle = throttle
        self._tokens = tokens
        self._issued = issued

    async def account(self, caller: Caller) -> str:
        """The account. Raises `NotAllowed`; `Refusal` (429) for what is wrong from an address that was wrong too often,
        without a look at it; `StoreUnavailable` when the provider is not reached."""
        now = self._clock.now()
        account = self._known(caller, now)
        if account is not None:
            return account
        if self._throttle.is_over(caller.peer, now=now):
            raise Refusal(TOO_MANY_GUESSES)
        try:
            return await self._prove(caller)
        except NotAllowed:
            self._throttle.count(caller.peer, now=now)
            raise

    def _known(self, caller: Caller, now: datetime) -> str | None:
        """The account of a token that costs nothing to tell."""
        try:
            token = bearer_token(caller.headers)
        except NotAllowed:
            return None
        entry = self._tokens.value.find(token, now=now) if self._tokens else None
        return entry.account if entry else self._issued.known(token) if self._issued else None

    async def _prove(self, caller: Caller) -> str:
        token = bearer_token(caller.headers)
        account = await self._issued.account(token) if self._issued else None
        if account is None:
            raise NotAllowed("the bearer token is not known, or not good any more", authenticated=False)
        return account
