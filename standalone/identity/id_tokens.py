"""ID tokens of OpenID Connect: what must be right before a word of one is believed. Pure: keys and time are given.

Slow to import, for the library beneath: imported only where tokens are asked for. Sources:
https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation and RFC 8725.
"""

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key

from standalone.identity.encoding import decode_base64url

ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
    "EdDSA",
)
"""Signatures by a key that the issuer alone has: never `none`, and never one by a secret that others share."""

MAX_TOKEN: Final = 16 << 10

_SKEW: Final = 30
"""Seconds by which the clocks of issuer and reader may differ."""
_MAX_KEYS: Final = 100

Claims = Mapping[str, object]


class InvalidToken(ValueError):
    """Not a token that is to be believed; the text says what is wrong with it, and never quotes it."""


class UnknownKey(InvalidToken):
    """Signed with a key that is not among those given: there may be a new one."""


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The keys of an issuer, with their IDs; empty for one without."""

    keys: tuple[tuple[str, Key], ...]

    def matching(self, key_id: object) -> list[Key]:
        """Those of an ID, or all where a token names none."""
        return [key for name, key in self.keys if key_id is None or name == key_id]


def parse_key_set(value: object) -> SigningKeys:
    """The usable keys of a JSON Web Key Set; others, of kinds not known here, are left out. Raises `ValueError`."""
    listed = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(listed, list) or len(listed) > _MAX_KEYS:
        raise ValueError("not a JSON Web Key Set")
    return SigningKeys(tuple((_text(item.get("kid")), key) for item in listed if (key := _parse_key(item))))


def _parse_key(item: object) -> Key | None:
    if not isinstance(item, dict) or item.get("kty") not in ("RSA", "EC", "OKP") or item.get("use", "sig") != "sig":
        return None
    try:
        return JWKRegistry.import_key(item)
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def looks_like_token(text: str) -> bool:
    """True for three words with dots between, the first of which is a JSON object."""
    return len(text) <= MAX_TOKEN and text.count(".") == 2 and _header_of(text) is not None


def read_claims(
    token: str, keys: SigningKeys, *, issuer: str, audience: str, now: datetime, algorithms: Iterable[str] = ALGORITHMS
) -> Claims:
    """What a token says, when its signature, issuer, audience and times are right. Raises `InvalidToken`."""
    claims = _verified(token, keys, [name for name in ALGORITHMS if name in set(algorithms)])
    if claims.get("iss") != issuer:
        raise InvalidToken("of another issuer")
    audiences = claims.get("aud")
    if audience not in (audiences if isinstance(audiences, list) else [audiences]):
        raise InvalidToken("for another audience")
    seconds = now.timestamp()
    if not _number(claims.get("exp"), 0) > seconds - _SKEW:
        raise InvalidToken("expired")
    if max(_number(claims.get("nbf"), 0), _number(claims.get("iat"), 0)) > seconds + _SKEW:
        raise InvalidToken("from the future")
    return claims


def require_signed_in(claims: Claims, *, client_id: str, nonce: str) -> None:
    """Check that a token answers this sign-in, of this client. Raises `InvalidToken`."""
    if not hmac.compare_digest(_text(claims.get("nonce")).encode(), nonce.encode()):
        raise InvalidToken("of another sign-in")
    if "azp" in claims and claims["azp"] != client_id:
        raise InvalidToken("for another client")
    if isinstance(claims.get("aud"), list) and len(_list(claims["aud"])) > 1 and "azp" not in claims:
        raise InvalidToken("for several audiences, without saying for which client")
    if not _text(claims.get("sub")):
        raise InvalidToken("without a subject")


def ends_at(claims: Claims) -> float:
    """When a token stops being good, in seconds since 1970."""
    return _number(claims.get("exp"), 0)


def _verified(token: str, keys: SigningKeys, algorithms: list[str]) -> Claims:
    header = _header_of(token) if len(token) <= MAX_TOKEN and token.count(".") == 2 else None
    if header is None or "crit" in header:
        raise InvalidToken("malformed")
    if header.get("alg") not in algorithms:
        raise InvalidToken("signed in a way that is not allowed")
    candidates = keys.matching(header.get("kid"))
    if not candidates:
        raise UnknownKey("signed with a key that its issuer does not list")
    payload = next((found for key in candidates if (found := _payload(token, key, algorithms)) is not None), None)
    if payload is None:
        raise InvalidToken("not signed by its issuer")
    claims = _json(payload)
    if not isinstance(claims, dict):
        raise InvalidToken("malformed")
    return claims


def _payload(token: str, key: Key, algorithms: list[str]) -> bytes | None:
    try:
        return jws.deserialize_compact(token, key, algorithms=algorithms).payload
    except (JoseError, ValueError, TypeError):
        return None


def _header_of(token: str) -> dict[str, object] | None:
    try:
        header = _json(decode_base64url(token.partition(".")[0]))
    except ValueError:
        return None
    return header if isinstance(header, dict) else None


def _json(data: bytes) -> object:
    try:
        value: object = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _number(value: object, default: float) -> float:
    return default if isinstance(value, bool) or not isinstance(value, int | float) else value
