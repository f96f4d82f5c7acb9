"""A service account that another account may be for a while: the calls of IAM's credentials service.

https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from agent.identity.accounts import SCOPES, Account
from agent.identity.credentials import is_bearer_token
from agent.identity.errors import CredentialsError, UnusableCredentials
from agent.identity.google_calls import GoogleCalls
from agent.identity.tokens import Token, jwt_token

_ENDPOINT: Final = "https://iamcredentials.googleapis.com/"
_ACCOUNTS: Final = "v1/projects/-/serviceAccounts/"
_ACCESS_TOKEN: Final = ":generateAccessToken"
_ID_TOKEN: Final = ":generateIdToken"
_LIFETIME: Final = "3600s"


class ImpersonatedAccount:
    """The service account `name`, as `source` may be it; `delegates` stand between the two.

    `endpoint` is IAM's, empty for Google's own.
    """

    def __init__(
        self,
        name: str,
        *,
        source: Account,
        calls: GoogleCalls,
        delegates: Sequence[str] = (),
        endpoint: str = "",
    ) -> None:
        self._name = name
        self._source = source
        self._calls = calls
        self._delegates = [f"projects/-/serviceAccounts/{delegate}" for delegate in delegates]
        self._url = f"{(endpoint or _ENDPOINT).rstrip('/')}/{_ACCOUNTS}{name}"

    @property
    def description(self) -> str:
        return f"{self._name}, impersonated by {self._source.description}"

    def access_token(self, scopes: Sequence[str]) -> Token:
        said = self._call(_ACCESS_TOKEN, {"scope": list(scopes), "lifetime": _LIFETIME})
        token, end = said.get("accessToken"), said.get("expireTime")
        if not isinstance(token, str) or not is_bearer_token(token) or not isinstance(end, str):
            raise CredentialsError(f"no access token of {self.description}: the answer holds none")
        try:
            return Token(token, datetime.fromisoformat(end).timestamp() - self._calls.wall_clock())
        except ValueError:
            raise CredentialsError(f"no access token of {self.description}: it came without an end") from None

    def id_token(self, audience: str) -> Token:
        said = self._call(_ID_TOKEN, {"audience": audience, "includeEmail": True})
        try:
            return jwt_token(str(said.get("token")), wall_time=self._calls.wall_clock())
        except ValueError as exc:
            raise CredentialsError(f"no ID token of {self.description}: what came is {exc}") from None

    def _call(self, method: str, body: Mapping[str, object]) -> Mapping[str, object]:
        token = self._source.access_token(SCOPES).text
        status, data = self._calls.post_json(
            self._url + method, {**body, "delegates": self._delegates}, token=token, whose=self.description
        )
        if status in (400, 401, 403, 404):
            raise UnusableCredentials(
                f"no token of {self.description}: status {status}; does it exist, and may the account create its tokens"
                " (role roles/iam.serviceAccountTokenCreator)?"
            )
        try:
            said: object = json.loads(data)
        except ValueError:
            said = None
        if status != 200 or not isinstance(said, dict):
            raise CredentialsError(f"no token of {self.description}: status {status}")
        return said


def impersonated_by_url(
    url: str, *, source: Account, calls: GoogleCalls, delegates: Sequence[str] = ()
) -> ImpersonatedAccount:
    """The account of a `service_account_impersonation_url`. Raises `ValueError` for any other URL."""
    endpoint, accounts, rest = url.partition(_ACCOUNTS)
    name, method, _ = rest.partition(_ACCESS_TOKEN)
    if not accounts or not method or not name:
        raise ValueError("not the URL of a service account")
    names = [delegate.rpartition("/")[2] for delegate in delegates]
    return ImpersonatedAccount(name, source=source, calls=calls, delegates=names, endpoint=endpoint)
