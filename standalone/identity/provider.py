"""An OpenID provider: what it says of itself, and the keys that it signs with; fetched when needed, kept for a while.

https://openid.net/specs/openid-connect-discovery-1_0.html
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic, Protocol, TypeVar

from broker.errors import StoreUnavailable
from broker.waiting import Clock
from standalone.identity.id_tokens import ALGORITHMS, Claims, SigningKeys, UnknownKey, parse_key_set, read_claims
from standalone.identity.origins import is_safe_url

T = TypeVar("T")

_KEPT_FOR: Final = timedelta(hours=1)
_KEPT_WITHOUT: Final = timedelta(hours=24)
"""How long what was fetched serves while the provider is down."""
_ASKED_AGAIN: Final = timedelta(seconds=10)
"""At the earliest, after a failure and for a key that may be new: or garbage would make us ask each time."""


class Web(Protocol):
    """What speaks to a provider: `fetching.WebClient`, or a test."""

    async def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> object: ...

    async def post(
        self, url: str, form: Mapping[str, str], *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, object]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What a provider says of itself; empty for what it does not have."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    userinfo_endpoint: str = ""
    end_session_endpoint: str = ""
    takes_secret_in_form_alone: bool = False
    names_itself_in_answers: bool = False
    """True where its answers have an `iss` (RFC 9207)."""
    algorithms: frozenset[str] = frozenset({"RS256"})


def parse_metadata(value: object, *, issuer: str) -> Metadata:
    """A provider's own description. Raises `ValueError` for one that is of another, or that lacks what is needed."""
    if not isinstance(value, dict) or value.get("issuer") != issuer:
        raise ValueError("does not describe this issuer: its `issuer` is another")
    urls = {}
    for name in ("jwks_uri", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "end_session_endpoint"):
        url = value.get(name, "")
        if url and not is_safe_url(url):
            raise ValueError(f"its {name} is not https")
        urls[name] = url
    if not urls["jwks_uri"]:
        raise ValueError("has no jwks_uri")
    ways = _words(value.get("token_endpoint_auth_methods_supported"))
    return Metadata(
        issuer=issuer,
        **urls,
        takes_secret_in_form_alone="client_secret_post" in ways and "client_secret_basic" not in ways,
        names_itself_in_answers=value.get("authorization_response_iss_parameter_supported") is True,
        algorithms=frozenset(ALGORITHMS) & (_words(value.get("id_token_signing_alg_values_supported")) or {"RS256"}),
    )


class Provider:
    """One provider, known by its issuer."""

    def __init__(self, issuer: str, web: Web, clock: Clock) -> None:
        self.issuer = issuer
        self.web = web
        self._clock = clock
        self._metadata = _Kept(self._fetch_metadata, clock)
        self._keys = _Kept(self._fetch_keys, clock)

    async def metadata(self) -> Metadata:
        """What it says of itself. Raises `StoreUnavailable`."""
        return await self._metadata.get()

    async def read(self, token: str, *, audience: str) -> Claims:
        """What a token of this provider says. Raises `InvalidToken`, and `StoreUnavailable` without its keys."""
        metadata = await self.metadata()

        def read_with(keys: SigningKeys) -> Claims:
            return read_claims(
                token,
                keys,
                issuer=self.issuer,
                audience=audience,
                now=self._clock.now(),
                algorithms=metadata.algorithms,
            )

        try:
            return read_with(await self._keys.get())
        except UnknownKey:
            return read_with(await self._keys.renew())

    async def _fetch_metadata(self) -> Metadata:
        url = f"{self.issuer.removesuffix('/')}/.well-known/openid-configuration"
        try:
            return parse_metadata(await self.web.get(url), issuer=self.issuer)
        except ValueError as exc:
            raise StoreUnavailable(f"{url}: {exc}") from exc

    async def _fetch_keys(self) -> SigningKeys:
        url = (await self.metadata()).jwks_uri
        try:
            return parse_key_set(await self.web.get(url))
        except ValueError as exc:
            raise StoreUnavailable(f"{url}: {exc}") from exc


class _Kept(Generic[T]):
    """Something that is fetched, by one for all who wait for it, and kept."""

    def __init__(self, fetch: Callable[[], Awaitable[T]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = asyncio.Lock()  # held during a fetch
        self._value: T | None = None
        self._at: datetime | None = None
        self._asked: datetime | None = None
        self._failure = StoreUnavailable("not asked yet")

    async def get(self) -> T:
        """The value, not older than an hour; than a day, while a new one cannot be had. Raises `StoreUnavailable`."""
        if self._value is not None and self._age() < _KEPT_FOR:
            return self._value
        return await self.renew()

    async def renew(self) -> T:
        """A new value, if the last question is not too fresh, else the one that there is. Raises `StoreUnavailable`."""
        async with self._lock:
            if self._asked is None or self._clock.now() - self._asked >= _ASKED_AGAIN:
                await self._ask()
        if self._value is None or self._age() >= _KEPT_WITHOUT:
            raise self._failure
        return self._value

    async def _ask(self) -> None:
        self._asked = self._clock.now()
        try:
            self._value = await self._fetch()
            self._at = self._clock.now()
        except StoreUnavailable as exc:
            self._failure = exc

    def _age(self) -> timedelta:
        return self._clock.now() - self._at if self._at else timedelta.max


def _words(value: object) -> set[str]:
    return {word for word in value if isinstance(word, str)} if isinstance(value, list) else set()
