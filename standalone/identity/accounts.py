"""Who agents and administrators are: by tokens of the proxy's own, and by those of an OpenID provider."""

from datetime import datetime
from typing import Final, NamedTuple, Protocol

from broker.errors import NotAllowed
from broker.waiting import Clock
from edge.errors import Failure, Refusal
from edge.identity import Caller, bearer_token
from standalone.identity.throttle import REFILL, Throttle
from standalone.identity.tokens import Entry, Tokens
from standalone.process.watched import WatchedFile
from standalone.rights import Right, always

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


class Proof(NamedTuple):
    """An account, and whether what proved it still would."""

    account: str
    holds: Right
    """False once a token of the proxy's own has been taken back, or has ended. A provider's ID token was good at the
    moment of the call, and nobody takes one back: it holds for as long as that call lasts."""


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
        """The account. Raises as `prove` does."""
        return (await self.prove(caller)).account

    async def prove(self, caller: Caller) -> Proof:
        """The account. Raises `NotAllowed`; `Refusal` (429) for what is wrong from an address that was wrong too often;
        `StoreUnavailable` when the provider is not reached."""
        now = self._clock.now()
        proof = self._known(caller, now)
        if proof is not None:
            return proof
        try:
            # Also for an address with nothing left: a provider's good token may be new, and a look costs a signature.
            return await self._ask_provider(caller)
        except NotAllowed:
            if self._throttle.is_over(caller.peer, now=now):
                raise Refusal(TOO_MANY_GUESSES) from None
            self._throttle.count(caller.peer, now=now)
            raise

    def _known(self, caller: Caller, now: datetime) -> Proof | None:
        """The account of a token that costs nothing to tell."""
        try:
            token = bearer_token(caller.headers)
        except NotAllowed:
            return None
        entry = self._tokens.value.find(token, now=now) if self._tokens else None
        if entry is not None:
            return Proof(entry.account, lambda: self._is_listed(entry))
        account = self._issued.known(token) if self._issued else None
        return None if account is None else Proof(account, always)

    def _is_listed(self, entry: Entry) -> bool:
        return self._tokens is not None and self._tokens.value.still_has(entry, now=self._clock.now())

    async def _ask_provider(self, caller: Caller) -> Proof:
        token = bearer_token(caller.headers)
        account = await self._issued.account(token) if self._issued else None
        if account is None:
            raise NotAllowed("the bearer token is not known, or not good any more", authenticated=False)
        return Proof(account, always)
