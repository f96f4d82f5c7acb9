"""Signing in by OpenID Connect's authorisation code: what goes out, and what must come back. Pure.

Each attempt has a state (against forged answers), a nonce (against answers of another attempt) and a PKCE verifier
(against stolen codes), all sealed into a cookie of this browser alone, so that any number of tabs can sign in at once
and nothing has to be kept here. Sources: https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth, RFC 7636,
RFC 9700.
"""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from broker.errors import NotAllowed
from standalone.identity.encoding import encode_base64url
from standalone.identity.fronts import is_user, spelled
from standalone.identity.returning import return_target
from standalone.identity.sealing import seal, unseal
from standalone.identity.session_keys import Keys

LIVES: Final = timedelta(minutes=10)
"""How long somebody may take at the provider."""

MOST_AT_ONCE: Final = 8
"""Sign-ins under way in one browser: tabs that wait. More of their cookies would make heads too long."""

_PURPOSE: Final = "sign-in"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """One attempt to sign in."""

    state: str
    nonce: str
    verifier: str
    target: str
    """The page that was wanted."""
    origin: str
    """Where it was wanted: `https://host`."""
    began: datetime

    def is_over(self, *, now: datetime) -> bool:
        """True when it took too long."""
        return not self.began - timedelta(minutes=5) <= now < self.began + LIVES


def begin_sign_in(target: str, origin: str, *, now: datetime, new_word: Callable[[], str]) -> SignIn:
    """A fresh attempt; `new_word` gives at least 256 random bits as 43 letters or more (RFC 7636 section 4.1)."""
    return SignIn(
        state=new_word(), nonce=new_word(), verifier=new_word(), target=return_target(target), origin=origin, began=now
    )


def mark_of(state: str) -> str:
    """What tells the cookies of a browser's attempts apart."""
    return hashlib.sha256(state.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def seal_sign_in(sign_in: SignIn, keys: Keys) -> str:
    """The value of its cookie. Raises `TooLong` where the page has an address that leaves no room."""
    value = {
        "state": sign_in.state,
        "nonce": sign_in.nonce,
        "verifier": sign_in.verifier,
        "target": sign_in.target,
        "origin": sign_in.origin,
        "began": int(sign_in.began.timestamp()),
    }
    return seal(_PURPOSE, value, keys)


def unseal_sign_in(cookie: str, keys: Keys) -> SignIn | None:
    """The attempt that a cookie holds; None for a cookie that we have not made."""
    match unseal(_PURPOSE, cookie, keys):
        case {
            "state": str(state),
            "nonce": str(nonce),
            "verifier": str(verifier),
            "target": str(target),
            "origin": str(origin),
            "began": int(began),
        }:
            moment = datetime.fromtimestamp(began, UTC)
            return SignIn(state=state, nonce=nonce, verifier=verifier, target=target, origin=origin, began=moment)
    return None


def authorization_url(endpoint: str, sign_in: SignIn, *, client_id: str, redirect_uri: str, scopes: str) -> str:
    """Where the browser is sent to."""
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": scopes,
        "state": sign_in.state,
        "nonce": sign_in.nonce,
        "code_challenge": challenge_of(sign_in.verifier),
        "code_challenge_method": "S256",
    }
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"


def challenge_of(verifier: str) -> str:
    """RFC 7636 section 4.2."""
    return encode_base64url(hashlib.sha256(verifier.encode()).digest())


def is_answer_to(sign_in: SignIn, *, state: str, origin: str, now: datetime) -> bool:
    """True for an answer that this browser, at this host, has asked for, and in time."""
    is_same = hmac.compare_digest(sign_in.state.encode(), state.encode("utf-8", "surrogateescape"))
    return is_same and sign_in.origin == origin and not sign_in.is_over(now=now)


def user_of(claims: Mapping[str, object], *, trusts_addresses: bool) -> str:
    """The user whom claims name: his address, or his subject where there is none. Raises `NotAllowed`.

    An address counts only if the provider has verified it, or is trusted to know it (`trusts_addresses`). A subject
    that could be taken for an address never counts: some providers let people choose theirs.
    """
    email, subject = claims.get("email"), claims.get("sub")
    if isinstance(email, str) and email:
        if not (trusts_addresses or claims.get("email_verified") is True):
            raise NotAllowed("the identity provider has not verified the e-mail address", authenticated=True)
        user = email
    else:
        user = subject if isinstance(subject, str) and "@" not in subject else ""
    if not is_user(user):
        raise NotAllowed(
            "the identity provider names neither an e-mail address nor a usable subject", authenticated=True
        )
    return spelled(user)


class Answered:
    """The states that were answered, so that none is answered twice: those of the last minutes, `capacity` at most."""

    def __init__(self, *, capacity: int = 100_000) -> None:
        self._capacity = capacity
        self._until: OrderedDict[str, datetime] = OrderedDict()

    def take(self, state: str, *, now: datetime) -> bool:
        """True the first time."""
        while self._until and (len(self._until) >= self._capacity or next(iter(self._until.values())) <= now):
            self._until.popitem(last=False)
        is_first = state not in self._until
        if is_first:
            self._until[state] = now + LIVES + timedelta(minutes=5)
        return is_first
