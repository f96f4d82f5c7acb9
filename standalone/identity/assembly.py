"""From settings to who may do what. What speaks to identity providers is slow to import: only where it is wanted."""

import secrets
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from broker.model import ALL_USERS
from broker.store import Store
from broker.waiting import Clock
from standalone.identity.access import OPEN, Access
from standalone.identity.accounts import Accounts, Issued
from standalone.identity.fronts import Front
from standalone.identity.gate import guarded_gate
from standalone.identity.origins import Origins
from standalone.identity.reception import FrontReception, PublicReception, Reception
from standalone.identity.session_keys import MAX_FILE_BYTES as MAX_KEY_FILE_BYTES
from standalone.identity.session_keys import Keys, parse_keys
from standalone.identity.signed_out import SignedOut
from standalone.identity.throttle import Throttle
from standalone.identity.tokens import MAX_FILE_BYTES, Tokens, parse_tokens
from standalone.process.watched import WatchedFile
from standalone.settings.administrators import AdministratorSettings
from standalone.settings.agents import AgentSettings
from standalone.settings.load import Settings
from standalone.settings.secrets import MAX_SECRET_BYTES, parse_secret, watch

IsTrusted = Callable[[str], bool]
"""True for the address of a proxy in front that is believed."""


def assemble(settings: Settings, *, store: Store, clock: Clock, is_trusted: IsTrusted) -> Access:
    """Who may do what. To be called in the event loop that will serve. Raises `SettingsError` for a file that has
    become useless since settings were read."""
    if settings.is_open:
        return OPEN
    return _Assembly(clock).access(settings, store, is_trusted)


class _Assembly:
    """Puts the parts together, and remembers the files that are to be watched."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._throttle = Throttle()
        self._files: list[WatchedFile[Any]] = []

    def access(self, settings: Settings, store: Store, is_trusted: IsTrusted) -> Access:
        agents = self._accounts(settings.agents, listed=None)
        administrators = self._accounts(settings.administrators, listed=settings.administrators.accounts)
        reception = self._reception(settings, is_trusted)
        return Access(
            gate=guarded_gate(agents, store),
            reception=reception,
            admin=administrators.account if settings.administrators.knows_anybody else None,
            files=tuple(self._files),
        )

    def _accounts(self, table: AgentSettings | AdministratorSettings, *, listed: Collection[str] | None) -> Accounts:
        tokens = self._tokens(f"{table.NAME}.tokens", table.tokens) if table.tokens else None
        issued = self._issued(table, listed) if table.oidc_issuer else None
        return Accounts(self._clock, self._throttle, tokens=tokens, issued=issued)

    def _tokens(self, where: str, path: Path) -> WatchedFile[Tokens]:
        file = watch(where, path, parse_tokens, max_bytes=MAX_FILE_BYTES)
        self._files.append(file)
        return file

    def _issued(self, table: AgentSettings | AdministratorSettings, listed: Collection[str] | None) -> Issued:
        from standalone.identity.fetching import WebClient
        from standalone.identity.issued import IssuedTokens
        from standalone.identity.provider import Provider

        provider = Provider(table.oidc_issuer, WebClient(ca_file=table.oidc_ca_file), self._clock)
        return IssuedTokens(provider, self._clock, audience=table.oidc_audience, listed=listed)

    def _reception(self, settings: Settings, is_trusted: IsTrusted) -> Reception:
        users = settings.users
        if users.sign_in == "header":
            front = Front(users.header, users.header_prefix)
            allowed = frozenset(users.allowed or [ALL_USERS])
            return FrontReception(front, is_trusted=is_trusted, allowed=allowed)
        return self._portal(settings) if users.sign_in == "oidc" else PublicReception()

    def _portal(self, settings: Settings) -> Reception:
        from standalone.identity.desk import Desk, Rules
        from standalone.identity.fetching import WebClient
        from standalone.identity.guests import GuestBook
        from standalone.identity.portal import Portal
        from standalone.identity.provider import Provider
        from standalone.identity.redemption import ClientCredentials
        from standalone.identity.sessions import Lifetimes

        users = settings.users
        rules = Rules(
            origins=Origins(users.public_urls),
            scopes=users.oidc_scopes,
            allowed=frozenset(users.allowed),
            allowed_origins=frozenset(users.allowed_origins),
            trusts_addresses=users.oidc_trusts_addresses,
            signs_out_at_provider=users.oidc_signs_out,
        )
        desk = Desk(
            rules=rules,
            provider=Provider(users.oidc_issuer, WebClient(ca_file=users.oidc_ca_file), self._clock),
            client=ClientCredentials(users.oidc_client_id, self._secret(users.oidc_client_secret)),
            book=GuestBook(
                Lifetimes(absolute=users.session_lifetime, idle=users.session_idle),
                _signed_out(settings.storage.database),
            ),
            keys=self._session_keys(users.session_keys),
            clock=self._clock,
            throttle=self._throttle,
            new_word=lambda: secrets.token_urlsafe(32),
        )
        return Portal(desk)

    def _secret(self, path: Path | None) -> Callable[[], str]:
        if path is None:
            return lambda: ""
        file = watch("users.oidc-client-secret", path, parse_secret, max_bytes=MAX_SECRET_BYTES)
        self._files.append(file)
        return lambda: file.value

    def _session_keys(self, path: Path | None) -> Callable[[], Keys]:
        if path is None:
            keys = (secrets.token_bytes(32),)
            return lambda: keys
        file = watch("users.session-keys", path, parse_keys, max_bytes=MAX_KEY_FILE_BYTES)
        self._files.append(file)
        return lambda: file.value


def _signed_out(database: Path | None) -> SignedOut:
    if database is None:
        return SignedOut()
    # Not imported where nothing is kept.
    from stores.sqlite.sign_outs import SqliteSignOuts

    return SignedOut(SqliteSignOuts(database))
