"""A provider of tokens, for tests: its keys, its tokens, and what it serves."""

import json
from collections.abc import Mapping
from typing import Any, Final

from joserfc import jws
from joserfc.jwk import RSAKey

from broker.errors import StoreUnavailable
from tests.fakes.clock import NOON

ISSUER: Final = "https://id.example.org"
SECONDS: Final = int(NOON.timestamp())
DISCOVERY: Final = f"{ISSUER}/.well-known/openid-configuration"
DESCRIPTION: Final = {
    "issuer": ISSUER,
    "jwks_uri": f"{ISSUER}/keys",
    "authorization_endpoint": f"{ISSUER}/auth",
    "token_endpoint": f"{ISSUER}/token",
}


class Signer:
    """One key."""

    def __init__(self, key_id: str) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": key_id})

    def token(self, **claims: Any) -> str:
        """A token that is right but for what is said otherwise."""
        said = {"iss": ISSUER, "aud": "client", "sub": "1", "iat": SECONDS, "exp": SECONDS + 3600} | claims
        return jws.serialize_compact({"alg": "RS256", "kid": self.key.kid}, json.dumps(said), self.key)

    @property
    def public(self) -> dict[str, Any]:
        """As a key set lists it."""
        return {**self.key.as_dict(private=False), "kid": self.key.kid}


class FakeWeb:
    """What a provider serves: by URL, a value of JSON, or an error."""

    def __init__(self, *signers: Signer) -> None:
        self.asked: list[str] = []
        self.posted: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.answer: tuple[int, object] = (200, {})
        self.is_down = False
        self.served: dict[str, object] = {DISCOVERY: DESCRIPTION}
        self.publish(*signers)

    def publish(self, *signers: Signer) -> None:
        self.served[f"{ISSUER}/keys"] = {"keys": [signer.public for signer in signers]}

    async def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> object:
        self.asked.append(url)
        if self.is_down or url not in self.served:
            raise StoreUnavailable(f"{url}: down")
        return self.served[url]

    async def post(
        self, url: str, form: Mapping[str, str], *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, object]:
        self.posted.append((url, dict(form), dict(headers or {})))
        if self.is_down:
            raise StoreUnavailable(f"{url}: down")
        return self.answer
