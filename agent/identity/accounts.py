"""What an account of Google's can give, whatever keeps it."""

from collections.abc import Sequence
from typing import Final, Protocol

from agent.identity.tokens import Token

SCOPES: Final = (
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/userinfo.email",
)


class Account(Protocol):
    """Gets tokens, each time a new one; every call raises `CredentialsError`, and bounds its own time."""

    @property
    def description(self) -> str:
        """For the operator: which account, and from where."""
        ...

    def access_token(self, scopes: Sequence[str]) -> Token: ...

    def id_token(self, audience: str) -> Token:
        """An OIDC ID token for the audience. Raises `UnusableCredentials` for an account that cannot get one."""
        ...
