"""From settings to who may do what. What speaks to identity providers is slow to import: only where it is wanted."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from broker.store import Store
from broker.waiting import Clock
from standalone.identity.access import OPEN, Access
from standalone.identity.accounts import Accounts, Issued
from standalone.identity.fronts import Front
from standalone.identity.gate import guarded_gate
from standalone.identity.reception import FrontReception, PublicReception, Reception
from standalone.identity.throttle import Throttle
from standalone.identity.tokens import MAX_FILE_BYTES, Tokens, parse_tokens
from standalone.identity.watched import WatchedFile
from standalone.settings.administrators import AdministratorSettings
from standalone.settings.agents import AgentSettings
from standalone.settings.load import Settings
from standalone.settings.secrets import watch
from standalone.settings.users import UserSettings

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
        reception = self._reception(settings.users, is_trusted)
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

    def _reception(self, users: UserSettings, is_trusted: IsTrusted) -> Reception:
        if users.sign_in == "header":
            front = Front(users.header, users.header_prefix)
            return FrontReception(front, is_trusted=is_trusted, allowed=frozenset(users.allowed))
        return PublicReception()
