"""Where settings come from, and which of them wins: default < file < environment < command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Final

from edge.settings import SettingsError
from standalone.settings.addresses import Address
from standalone.settings.administrators import AdministratorSettings
from standalone.settings.agents import AgentSettings
from standalone.settings.backends import BackendSettings, require_sound
from standalone.settings.flags import read_flags
from standalone.settings.limits import LimitSettings
from standalone.settings.listen import ListenSettings
from standalone.settings.log import LogSettings
from standalone.settings.places import Places, naming, places_of
from standalone.settings.sources import CONFIG, GivenFile, read_environment, read_file
from standalone.settings.storage import StorageSettings
from standalone.settings.table import Table
from standalone.settings.timeouts import TimeoutSettings
from standalone.settings.tls import TlsSettings
from standalone.settings.users import SIGN_IN, UserSettings

TABLES: Final[tuple[type[Table], ...]] = (
    ListenSettings,
    TlsSettings,
    AgentSettings,
    AdministratorSettings,
    UserSettings,
    TimeoutSettings,
    LimitSettings,
    StorageSettings,
    LogSettings,
)
"""In the order of the documents."""

LISTS: Final[tuple[type[Table], ...]] = (BackendSettings,)
"""Those of which the file may have any number: `[[name]]`."""

_NEEDS_AGENTS: Final = (
    "agents.tokens: is not set, and neither is agents.oidc-issuer, so that nobody could serve: name a file of tokens "
    "(python -m standalone.tokens --help), or say --open, which asks nobody for anything"
)
_NEEDS_USERS: Final = f"users.sign-in: is not set, but must be one of {', '.join(SIGN_IN)}"
_NEEDS_FRONT: Final = (
    "listen.trusted-peers: is empty, but must have the address of the proxy in front that sets users.header: from "
    "nobody else is it believed"
)
_OPEN_ASKS_NOBODY: Final = "--open: contradicts what is set in [agents], [administrators] or [users]: drop one of them"
_NEEDS_NO_DATABASE: Final = (
    "storage.database: with --open every backend exists that an agent names, and nothing is kept: take one of them away"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the proxy was told."""

    is_open: bool
    """True where nobody is asked for anything."""
    only_checks: bool
    """True where it shall say what it was told, and end."""
    listen: ListenSettings
    tls: TlsSettings
    agents: AgentSettings
    administrators: AdministratorSettings
    users: UserSettings
    timeouts: TimeoutSettings
    limits: LimitSettings
    storage: StorageSettings
    log: LogSettings
    backends: tuple[BackendSettings, ...]
    places: Places
    """What errors about these settings begin with."""

    def check(self) -> None:
        """Raises `SettingsError` for tables that do not fit together."""
        if self.is_open and self.storage.database:
            raise SettingsError(_NEEDS_NO_DATABASE)
        require_sound(self.backends)
        knows_anybody = self.agents.knows_anybody or self.administrators.knows_anybody or bool(self.users.sign_in)
        if self.is_open and knows_anybody:
            raise SettingsError(_OPEN_ASKS_NOBODY)
        if not self.is_open and not self.agents.knows_anybody:
            raise SettingsError(_NEEDS_AGENTS)
        if not self.is_open and not self.users.sign_in:
            raise SettingsError(_NEEDS_USERS)
        if self.users.sign_in == "header" and not self.listen.trusted_peers:
            raise SettingsError(_NEEDS_FRONT)
        self._require_certificate()
        self._require_own_hosts()
        self._require_own_files()

    def _require_certificate(self) -> None:
        for key, addresses in self.listen.by_key.items():
            for address in addresses:
                if address.scheme == "https" and self.tls.certificate is None:
                    raise SettingsError(f"tls.certificate: is missing, but must be a file for listen.{key}: {address}")
        if self.listen.redirect and not any(map(self.speaks_tls, self.listen.users)):
            raise SettingsError("listen.redirect: leads nowhere: none of listen.users speaks TLS (tls.certificate)")

    def _require_own_hosts(self) -> None:
        for key, host in (("agents-host", self.listen.agents_host), ("api-host", self.listen.api_host)):
            if host and any(origin.host == host for origin in self.users.public_urls):
                raise SettingsError(f"listen.{key}: is a host of users.public-urls, where users would not get in")

    def _require_own_files(self) -> None:
        """A file with secrets has those of one kind: who serves a backend shall not be an administrator by that."""
        files = {
            "agents.tokens": self.agents.tokens,
            "administrators.tokens": self.administrators.tokens,
            "users.oidc-client-secret": self.users.oidc_client_secret,
            "users.session-keys": self.users.session_keys,
        }
        for (one, first), (other, second) in combinations(files.items(), 2):
            if first and second and first.samefile(second):
                raise SettingsError(f"{other}: is the file of {one}, but must be another")

    def speaks_tls(self, address: Address) -> bool:
        """True for an address where connections begin with a handshake."""
        return self.tls.certificate is not None and address.scheme in ("", "https")


def load_settings(arguments: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """The settings that arguments, environment and the file that they name give.

    Raises `SettingsError` with one line for the operator, and `SystemExit` for `--help` and for what is not a flag.
    """
    flags = read_flags(arguments)
    path = flags.config or (Path(environ[CONFIG]) if environ.get(CONFIG) else None)
    file = read_file(TABLES, path, lists=LISTS) if path else GivenFile({}, {})
    surroundings = read_environment(TABLES, environ)

    sources = (file.tables, surroundings, flags.given)
    given = {
        table.NAME: {key: each for source in sources for key, each in source.get(table.NAME, {}).items()}
        for table in TABLES
    }
    places = places_of((*TABLES, *LISTS), file, given)
    with naming(places):
        settings = Settings(
            is_open=flags.is_open,
            only_checks=flags.only_checks,
            listen=ListenSettings.of(given[ListenSettings.NAME]),
            tls=TlsSettings.of(given[TlsSettings.NAME]),
            agents=AgentSettings.of(given[AgentSettings.NAME]),
            administrators=AdministratorSettings.of(given[AdministratorSettings.NAME]),
            users=UserSettings.of(given[UserSettings.NAME]),
            timeouts=TimeoutSettings.of(given[TimeoutSettings.NAME]),
            limits=LimitSettings.of(given[LimitSettings.NAME]),
            storage=StorageSettings.of(given[StorageSettings.NAME]),
            log=LogSettings.of(given[LogSettings.NAME]),
            backends=tuple(BackendSettings.of(each) for each in file.lists.get(BackendSettings.NAME, ())),
            places=places,
        )
        settings.check()
    return settings
