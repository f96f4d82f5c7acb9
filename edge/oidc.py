"""Identity by signed tokens: Google's OpenID Connect ID tokens, and the assertions of Identity-Aware Proxy.

Nothing in a token is believed before its signature, algorithm, issuer, audience and time are right. Sources:
https://cloud.google.com/iap/docs/signed-headers-howto and
https://developers.google.com/identity/openid-connect/openid-connect#validatinganidtoken
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from google.auth import jwt
from google.auth.exceptions import GoogleAuthError

from broker.errors import NotAllowed
from edge.certificates import Certificates
from edge.identity import Caller, bearer_token, require_admin

IAP_ASSERTION: Final = "X-Goog-IAP-JWT-Assertion"

_SKEW_SECONDS: Final = 30
"""The clocks of signer and reader may differ so much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Somebody who signs tokens."""

    names: frozenset[str]
    algorithm: str
    certificates_url: str
    vouches_for_email: bool
    """False where a token says itself, in `email_verified`, whether the address is the caller's."""


GOOGLE: Final = Issuer(
    names=frozenset({"https://accounts.google.com", "accounts.google.com"}),
    algorithm="RS256",
    certificates_url="https://www.googleapis.com/oauth2/v1/certs",
    vouches_for_email=False,
)
IAP: Final = Issuer(
    names=frozenset({"https://cloud.google.com/iap"}),
    algorithm="ES256",
    certificates_url="https://www.gstatic.com/iap/verify/public_key",
    vouches_for_email=True,
)


class TokenReader:
    """Reads the tokens of one issuer that are meant for one audience."""

    def __init__(self, issuer: Issuer, audience: str, certificates: Certificates) -> None:
        self._issuer = issuer
        self._audience = audience
        self._certificates = certificates

    def email(self, token: str) -> str:
        """The verified address of the caller. Raises `NotAllowed`, or `StoreUnavailable` without certificates."""
        claims = self._claims(token)
        email = claims.get("email")
        is_verified = self._issuer.vouches_for_email or claims.get("email_verified") is True
        if claims.get("iss") not in self._issuer.names or not is_verified or not isinstance(email, str) or not email:
            raise NotAllowed("the token is of another issuer, or has no verified e-mail address", authenticated=False)
        return email

    def _claims(self, token: str) -> Mapping[str, object]:
        # What google-auth says of a bad token quotes it, so its exceptions go no further than here.
        try:
            header = jwt.decode_header(token)  # type: ignore[no-untyped-call]
            key_id = header.get("kid")
            if header.get("alg") != self._issuer.algorithm or not isinstance(key_id, str):
                raise ValueError("algorithm or key ID")
            key = self._certificates.key(key_id)
            if key is None:
                raise ValueError("unknown key")
            claims: Mapping[str, object] = jwt.decode(  # type: ignore[no-untyped-call]
                token, certs={key_id: key}, audience=self._audience, clock_skew_in_seconds=_SKEW_SECONDS
            )
        except (GoogleAuthError, ValueError, RecursionError):
            raise NotAllowed(
                "the token is not valid: malformed, expired, not signed by its issuer, or for another audience",
                authenticated=False,
            ) from None
        return claims


class OidcIdentity:
    """Agents and administrators by an ID token, users by the assertion of an Identity-Aware Proxy in front.

    Without `assertions` there is no such proxy, and nobody at a browser is identified. Behind one, which lets nothing
    through without its assertion, agents and administrators are known by that too.
    """

    def __init__(self, *, tokens: TokenReader, assertions: TokenReader | None, admins: Collection[str]) -> None:
        self._tokens = tokens
        self._assertions = assertions
        self._admins = frozenset(admin.lower() for admin in admins)

    def end_user(self, caller: Caller) -> str:
        if self._assertions is None:
            return ""
        assertions = caller.headers.get_all(IAP_ASSERTION)
        if len(assertions) != 1:
            raise NotAllowed("the assertion of Identity-Aware Proxy is missing", authenticated=False)
        return self._assertions.email(assertions[0])

    def backend_account(self, caller: Caller) -> str:
        if self._assertions is not None and IAP_ASSERTION in caller.headers:
            return self.end_user(caller)
        return self._tokens.email(bearer_token(caller.headers))

    def admin(self, caller: Caller) -> str:
        return require_admin(self.backend_account(caller), self._admins)
