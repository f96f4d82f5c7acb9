"""From the code that a browser brings back to what the provider says of its user.

https://openid.net/specs/openid-connect-core-1_0.html#TokenEndpoint and #UserInfo
"""

import base64
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote_plus

from broker.errors import StoreUnavailable
from edge.logs import escaped
from standalone.identity.id_tokens import Claims, InvalidToken, require_signed_in
from standalone.identity.provider import Metadata, Provider
from standalone.identity.sign_in import SignIn

logger = logging.getLogger(__name__)


class NotRedeemed(Exception):
    """The provider does not confirm a sign-in; why is in the log, because it may be a fault of the settings."""


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """As whom the proxy speaks to the provider."""

    client_id: str
    secret: Callable[[], str]
    """Empty for a client that has none: then PKCE alone protects the code."""


async def redeem(
    provider: Provider, client: ClientCredentials, *, code: str, sign_in: SignIn, redirect_uri: str
) -> Claims:
    """What is known of the user who has signed in. Raises `NotRedeemed`, and `StoreUnavailable` when the provider is
    not reached."""
    metadata = await provider.metadata()
    answer = await _ask_for_tokens(provider, metadata, client, code, sign_in, redirect_uri)
    id_token, access_token = answer.get("id_token"), answer.get("access_token")
    if not isinstance(id_token, str):
        raise _refused("its answer has no ID token")
    try:
        claims = await provider.read(id_token, audience=client.client_id)
        require_signed_in(claims, client_id=client.client_id, nonce=sign_in.nonce)
    except InvalidToken as exc:
        raise _refused(f"its ID token is {exc}") from exc
    if "email" in claims or not metadata.userinfo_endpoint or not isinstance(access_token, str):
        return claims
    return {**await _ask_for_more(provider, metadata, access_token, claims), **claims}


async def _ask_for_tokens(
    provider: Provider, metadata: Metadata, client: ClientCredentials, code: str, sign_in: SignIn, redirect_uri: str
) -> Mapping[str, object]:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": sign_in.verifier,
    }
    headers: dict[str, str] = {}
    secret = client.secret()
    if secret and not metadata.takes_secret_in_form_alone:
        headers["Authorization"] = _basic(client.client_id, secret)
    else:
        form |= {"client_id": client.client_id} | ({"client_secret": secret} if secret else {})
    if not metadata.token_endpoint:
        raise _refused("it has no token endpoint")
    status, answer = await provider.web.post(metadata.token_endpoint, form, headers=headers)
    if not isinstance(answer, dict):
        raise _refused(f"status {status}, and no JSON")
    if status != 200:
        raise _refused(f"status {status}, {answer.get('error')}: {answer.get('error_description')}")
    return answer


async def _ask_for_more(provider: Provider, metadata: Metadata, access_token: str, claims: Claims) -> Claims:
    """What it tells at its userinfo endpoint, for an ID token without an address."""
    bearer = {"Authorization": f"Bearer {access_token}"}
    try:
        answer = await provider.web.get(metadata.userinfo_endpoint, headers=bearer)
    except StoreUnavailable as exc:
        logger.warning("%s", exc)
        return {}
    if not isinstance(answer, dict) or answer.get("sub") != claims["sub"]:
        raise _refused("it tells of another user")
    return answer


def _basic(client_id: str, secret: str) -> str:
    """RFC 6749 section 2.3.1."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _refused(why: str) -> NotRedeemed:
    logger.warning("the identity provider did not confirm a sign-in: %s", escaped(why))
    return NotRedeemed(why)
