"""Who is calling: the port that every kind of identity fills, and the simplest one.

Identities are e-mail addresses, or other names of accounts, compared without case. Agents and administrators are known
by what they send in `Authorization` (or by an assertion that a proxy in front has signed), never by a cookie: a browser
sends cookies along with what a foreign page makes it send.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Protocol

from broker.errors import NotAllowed
from broker.model import ALL_USERS, Backend
from wire.headers import Headers
from wire.protocol import is_valid_backend_id

_DEV_PREFIX: Final = "dev:"


@dataclass(frozen=True, slots=True)
class Caller:
    """What there is to know somebody by: the fields of a request, and where it comes from."""

    headers: Headers
    peer: str = ""
    """The address of the client, as far as it is known without believing the client; empty where it is not."""


class Identity(Protocol):
    """Tells who calls. Raises `NotAllowed`, and `StoreUnavailable` when a service beneath fails. It may ask that
    service, and wait for it: an event loop calls it in a thread."""

    def end_user(self, caller: Caller) -> str:
        """The user at the browser; empty where nobody is identified and that is allowed."""
        ...

    def backend_account(self, caller: Caller) -> str:
        """The account of an agent; what it may serve is `require_agent`'s to say."""
        ...

    def admin(self, caller: Caller) -> str:
        """The account of an administrator. Raises `NotAllowed` for anybody else."""
        ...


def is_email(text: str) -> bool:
    """True for what can be the address of an account: one `@`, something on both sides, no space or control."""
    name, at, domain = text.partition("@")
    return bool(name and at and domain) and "@" not in domain and text.isprintable() and " " not in text


def is_account(text: str) -> bool:
    """True for what can name an account: an address, or a name that a proxy's own list of tokens gives to an agent."""
    return is_email(text) or (is_valid_backend_id(text) and text.lower() != ALL_USERS.lower())


def bearer_token(headers: Headers) -> str:
    """The token in `Authorization: Bearer …` (RFC 6750). Raises `NotAllowed` where there is not exactly one."""
    values = headers.get_all("Authorization")
    scheme, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAllowed("an Authorization field with a bearer token is missing", authenticated=False)
    return token.strip()


def require_admin(account: str, admins: Collection[str]) -> str:
    """The account, if it is one of `admins`, which are in lower case. Raises `NotAllowed`."""
    if account.lower() not in admins:
        raise NotAllowed(f"{account} is not an administrator of this proxy", authenticated=True)
    return account


def is_agent_of(backend: Backend | None, account: str) -> bool:
    """True where agents of `account` may serve the backend; None is one that is not registered."""
    return backend is not None and backend.backend_user.lower() == account.lower()


def require_agent(backend: Backend | None, account: str) -> None:
    """Raises `NotAllowed` unless `is_agent_of` says that they may.

    One answer for both cases: otherwise anybody with an account could find out which backends there are.
    """
    if not is_agent_of(backend, account):
        raise NotAllowed(f"no backend of that ID is registered for the agents of {account}", authenticated=True)


class DevIdentity:
    """For a developer's machine: a bearer token `dev:EMAIL` is believed, and every browser is the same user."""

    def __init__(self, *, end_user: str, admins: Collection[str]) -> None:
        self._end_user = end_user
        self._admins = frozenset(admin.lower() for admin in admins)

    def end_user(self, caller: Caller) -> str:
        return self._end_user

    def backend_account(self, caller: Caller) -> str:
        token = bearer_token(caller.headers)
        account = token.removeprefix(_DEV_PREFIX)
        if account == token or not account:
            raise NotAllowed(f"the bearer token of a developer's proxy is {_DEV_PREFIX}EMAIL", authenticated=False)
        return account

    def admin(self, caller: Caller) -> str:
        return require_admin(self.backend_account(caller), self._admins)
