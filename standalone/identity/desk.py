"""What signing in and signing out have in common: the rules, the cookies, the provider, and what can go wrong."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl

from broker.errors import NotAllowed, StoreUnavailable
from broker.waiting import Clock
from edge.errors import Failure, Refusal
from standalone.calls import Call
from standalone.identity.guests import GuestBook
from standalone.identity.listed import may_sign_in
from standalone.identity.origins import Origin, Origins
from standalone.identity.pages import is_foreign_change
from standalone.identity.provider import Metadata, Provider
from standalone.identity.redemption import ClientCredentials
from standalone.identity.screens import redirect_fields
from standalone.identity.session_keys import Keys
from standalone.identity.sessions import Session
from standalone.identity.throttle import Throttle
from wire.errors import MalformedMessage
from wire.http1 import RequestHead

PREFIX: Final = "/.inverting-proxy/"
"""Below it lie the proxy's own pages; what backends have there is not reached."""
SIGN_IN: Final = f"{PREFIX}sign-in"
BACK: Final = f"{PREFIX}signed-in"
SIGN_OUT: Final = f"{PREFIX}sign-out"
SIGNED_OUT: Final = f"{PREFIX}signed-out"

PATIENCE: Final = 25.0
"""Seconds for all that the provider is asked while a browser waits."""

_MAX_FIELDS: Final = 20

NOT_SIGNED_IN: Final = Failure(
    status=401,
    reason="not-signed-in",
    party="client",
    text="You are not signed in, or not any more: open a page of this address in a browser, and sign in.",
    # RFC 9110 section 11.6.1 wants one; none of the registered schemes fits.
    headers=(("WWW-Authenticate", f'Cookie realm="inverting-proxy", form-action="{SIGN_IN}"'),),
)
TOO_LONG_TO_COME_BACK: Final = replace(
    NOT_SIGNED_IN,
    text="You are not signed in, and this address is too long for the way back to it: sign in at "
    f"{SIGN_IN}, then open it again.",
)
UNKNOWN_HOST: Final = Failure(
    status=421,
    reason="unknown-host",
    party="client",
    text="Nobody can sign in under this address: use one that the proxy's administrator has named.",
)
SIGN_IN_OVER: Final = Failure(
    status=400,
    reason="sign-in-over",
    party="client",
    text="This sign-in took too long, was completed before, or began in another browser: open the page again.",
)
SIGN_IN_REFUSED: Final = Failure(
    status=403, reason="sign-in-refused", party="client", text="The identity provider did not sign you in: try again."
)
SIGN_IN_FAILED: Final = Failure(
    status=502,
    reason="sign-in-failed",
    party="proxy",
    text="The identity provider does not confirm this sign-in: try again, or tell the proxy's administrator.",
)
SIGN_IN_UNAVAILABLE: Final = Failure(
    status=503,
    reason="sign-in-unavailable",
    party="proxy",
    text="The identity provider does not answer, so nobody can sign in: try again soon.",
    headers=(("Retry-After", "10"),),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the settings say of signing in."""

    origins: Origins
    scopes: str
    allowed: frozenset[str]
    allowed_origins: frozenset[str]
    """Origins of other pages that may change something."""
    trusts_addresses: bool
    signs_out_at_provider: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What somebody needs who lets users in and out."""

    rules: Rules
    provider: Provider
    client: ClientCredentials
    book: GuestBook
    keys: Callable[[], Keys]
    clock: Clock
    throttle: Throttle
    """Of those whose answers the provider does not confirm, again and again."""
    new_word: Callable[[], str]
    """At least 256 random bits, in letters that may stand in a URL."""

    def session_of(self, call: Call, origin: Origin) -> Session | None:
        """The session of a request, if it is not over, and its user may still come in."""
        session = self.book.session_of(call.head.headers, origin, self.keys(), now=self.clock.now())
        return session if session is not None and may_sign_in(session.user, self.rules.allowed) else None

    def refuse_foreign_change(self, head: RequestHead, origin: Origin) -> None:
        """Raises `NotAllowed` for what a page of another site makes a browser change."""
        if is_foreign_change(head, origin=str(origin), allowed=self.rules.allowed_origins):
            raise NotAllowed("a page of another site may change nothing here", authenticated=True)

    async def metadata(self) -> Metadata:
        """What the provider says of itself. Raises `Refusal` while that cannot be known."""
        try:
            async with asyncio.timeout(PATIENCE):
                metadata = await self.provider.metadata()
        except (StoreUnavailable, TimeoutError) as exc:
            raise Refusal(SIGN_IN_UNAVAILABLE) from exc
        if not metadata.authorization_endpoint:
            raise Refusal(SIGN_IN_UNAVAILABLE)
        return metadata


def read_pairs(text: str) -> Mapping[str, str]:
    """A query or a form, each of whose fields may stand once. Raises `MalformedMessage`."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError as exc:
        raise MalformedMessage("too many fields in the query") from exc
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise MalformedMessage("a field of the query stands more than once")
    return fields


def query_of(call: Call) -> Mapping[str, str]:
    """The query of a request. Raises `MalformedMessage`."""
    return read_pairs(call.head.target.partition("?")[2])


async def redirect(call: Call, location: str, *, status: int = 302) -> None:
    """Send a browser elsewhere."""
    await call.answer(status, redirect_fields(location), b"")
