"""Accounts by the ID tokens of an OpenID provider: Google's for service accounts, a Kubernetes cluster, any other."""

import logging
from collections import OrderedDict
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final

from broker.waiting import Clock
from edge.identity import require_admin
from standalone.identity.id_tokens import Claims, InvalidToken, ends_at, looks_like_token
from standalone.identity.provider import Provider
from standalone.identity.sign_in import user_of
from standalone.identity.tokens import digest_of

logger = logging.getLogger(__name__)

_KEPT_FOR: Final = timedelta(minutes=5)
_MAX_KEPT: Final = 1000


class IssuedTokens:
    """Tokens of one provider that are made for one audience. What was proved is remembered for some minutes, by hash,
    so that a call of an agent costs no signature."""

    def __init__(
        self, provider: Provider, clock: Clock, *, audience: str, listed: Collection[str] | None = None
    ) -> None:
        """`listed`: the accounts that may come in; None for all."""
        self._provider = provider
        self._clock = clock
        self._audience = audience
        self._listed = None if listed is None else frozenset(account.lower() for account in listed)
        self._proved: OrderedDict[bytes, tuple[str, datetime]] = OrderedDict()

    def known(self, token: str) -> str | None:
        """The account of a token that was proved lately and is still good."""
        now = self._clock.now()
        account, until = self._proved.get(digest_of(token), ("", now))
        return account if now < until else None

    async def account(self, token: str) -> str | None:
        """The account that a token proves: its verified address, or its subject; None for a token that proves nothing.

        Raises `NotAllowed` for an account that is not listed, `StoreUnavailable` when the provider is not reached.
        """
        if not looks_like_token(token):
            return None
        try:
            claims = await self._provider.read(token, audience=self._audience)
        except InvalidToken as exc:
            logger.info("an ID token is refused: %s", exc)
            return None
        account = user_of(claims, trusts_addresses=False)
        if self._listed is not None:
            require_admin(account, self._listed)
        self._keep(token, account, claims)
        return account

    def _keep(self, token: str, account: str, claims: Claims) -> None:
        # The least of both in seconds: some issuers write the end of all times.
        soon = (self._clock.now() + _KEPT_FOR).timestamp()
        self._proved[digest_of(token)] = account, datetime.fromtimestamp(min(ends_at(claims), soon), UTC)
        if len(self._proved) > _MAX_KEPT:
            self._proved.popitem(last=False)
