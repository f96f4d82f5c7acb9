"""What the settings allow and hardly anybody wants: said by `--check-config` and at the start, which goes on."""

import ipaddress
from collections.abc import Iterator
from datetime import datetime
from itertools import combinations, product
from pathlib import Path
from typing import Final

from broker.hosts import fit_of
from broker.model import ALL_USERS
from standalone.doors.dispatch import Door
from standalone.doors.entrances import entrances_of
from standalone.identity.listed import may_sign_in
from standalone.identity.tokens import MAX_FILE_BYTES, Tokens, parse_tokens
from standalone.peers import Network
from standalone.settings.addresses import Address
from standalone.settings.backends import BackendSettings
from standalone.settings.load import Settings
from standalone.settings.secrets import watch

_READABLE, _WRITABLE = 0o004, 0o002

_HERE: Final = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1"))

EVERYWHERE: Final = (
    "other machines can reach this address, and nothing asks them who they are: each can read and answer the requests "
    "of all."
)


def warnings_of(settings: Settings, *, now: datetime, descriptors: int) -> Iterator[str]:
    """What an operator should know before it serves, with so many files and sockets at most. Raises `SettingsError` for
    a file that has become useless since settings were read."""
    yield from _about_addresses(settings)
    yield from _about_doors(settings)
    yield from _about_fronts(settings)
    yield from _about_files(settings)
    yield from _about_backends(settings)
    yield from _about_tokens(settings, now)
    yield from _about_limits(settings, descriptors)


def _about_addresses(settings: Settings) -> Iterator[str]:
    listen, entrances = settings.listen, entrances_of(settings)
    if settings.is_open and not all(address.is_local for address, _ in entrances):
        yield EVERYWHERE
    exposed = [str(address) for address, _ in entrances if not _is_protected(settings, address)]
    if exposed and not settings.is_open:
        yield (
            f"tokens, cookies and what pages say travel in the clear at {', '.join(exposed)}: give the proxy a "
            "certificate ([tls]), or listen where only a server in front with one can connect"
        )
    if settings.tls.certificate and not any(settings.speaks_tls(address) for address, _ in entrances):
        yield "tls.certificate: is not shown to anybody: no address speaks TLS"
    for network in listen.networks:
        if network.prefixlen == 0:
            yield f"listen.trusted-peers: everybody is in {network}, and is believed whatever he says of himself"


def _is_protected(settings: Settings, address: Address) -> bool:
    """True where nobody listens on the way, as far as one can know here."""
    return settings.speaks_tls(address) or address.is_local or bool(settings.listen.trusted_peers)


def _about_doors(settings: Settings) -> Iterator[str]:
    listen = settings.listen
    if (listen.api or listen.api_host) and not settings.administrators.knows_anybody:
        yield "nobody is an administrator, so that there is no API: set administrators.tokens, or oidc-issuer"
    shared = [entrance.doors for _, entrance in entrances_of(settings) if len(entrance.doors) > 1]
    for key, host, door in (("agents", listen.agents_host, Door.AGENTS), ("api", listen.api_host, Door.API)):
        if host and listen.by_key[key] and not any(door in doors for doors in shared):
            yield f"listen.{key}-host: decides nothing, because no other door is at the addresses of listen.{key}"


def _about_fronts(settings: Settings) -> Iterator[str]:
    """Addresses that only trusted peers may use, and where none of them can come from."""
    listen = settings.listen
    if settings.users.sign_in == "header" or "users" in listen.proxy_protocol:
        for address in listen.users:
            if not any(_can_come(peer, address) for peer in listen.trusted_peers):
                yield f"listen.trusted-peers: none of them can connect at {address}, so that no user comes in there"


def _can_come(peer: Network | str, address: Address) -> bool:
    if isinstance(peer, str) or address.scheme == "unix":
        return peer == address.scheme
    return not address.is_local or any(peer.overlaps(here) for here in _HERE)


def _about_files(settings: Settings) -> Iterator[str]:
    """Secrets must not be read, and whoever can write a list of tokens lets himself in."""
    files = {
        "tls.key": (settings.tls.key or settings.tls.certificate, _READABLE),
        "users.oidc-client-secret": (settings.users.oidc_client_secret, _READABLE),
        "users.session-keys": (settings.users.session_keys, _READABLE),
        "agents.tokens": (settings.agents.tokens, _WRITABLE),
        "administrators.tokens": (settings.administrators.tokens, _WRITABLE),
    }
    for key, (path, mode) in files.items():
        if path and path.stat().st_mode & mode:
            yield f"{key}: everybody on this machine can {_can(mode)} {path}: chmod o-rwx {path}"


def _can(mode: int) -> str:
    return "read" if mode == _READABLE else "write"


def _about_backends(settings: Settings) -> Iterator[str]:
    """That there can be none, and those that no user can reach."""
    users = settings.users
    has_others = settings.is_open or settings.storage.database or settings.administrators.knows_anybody
    if not settings.backends and not has_others:
        yield "there are no [[backends]], and nobody is an administrator, who could register one"
    for one, other in combinations(settings.backends, 2):
        if one.end_user == other.end_user and _places(one) & _places(other):
            yield (
                f"backends: {one.id} and {other.id} are for the same user, host and path: the one that polled last is "
                "asked"
            )
    for each in settings.backends:
        yield from _about_hosts(settings, each)
        if users.sign_in in ("", "public") and each.end_user != ALL_USERS:
            yield f"backends.end-user: {each.id} is for {each.end_user}, but nobody is asked who he is"
        elif users.allowed and not _may_come_in(each.end_user or "", frozenset(users.allowed)):
            yield f"backends.end-user: {each.id} is for {each.end_user}, whom users.allowed does not let in"


def _places(backend: BackendSettings) -> set[tuple[str, str]]:
    """Hosts and paths; the empty host is any."""
    return set(product(map(str.lower, backend.hosts or ("",)), (path.rstrip("/") for path in backend.path_prefixes)))


def _about_hosts(settings: Settings, backend: BackendSettings) -> Iterator[str]:
    doors = {settings.listen.agents_host: "listen.agents-host", settings.listen.api_host: "listen.api-host"}
    origins = tuple(origin.host for origin in settings.users.public_urls)
    for host in map(str.lower, backend.hosts):
        if host in doors:
            yield f"backends.hosts: {backend.id} is for {host}, which is {doors[host]}: no user gets there"
        elif origins and not host.startswith("*") and not fit_of(origins, host):
            yield f"backends.hosts: {backend.id} is for {host}, which is none of users.public-urls"


def _may_come_in(end_user: str, allowed: frozenset[str]) -> bool:
    """True where somebody of this name, or of this domain, may."""
    if not end_user.startswith("@"):
        return end_user == ALL_USERS or may_sign_in(end_user, allowed)
    return any(each == ALL_USERS or each.endswith(end_user.lower()) for each in allowed)


def _about_tokens(settings: Settings, now: datetime) -> Iterator[str]:
    agents = _tokens("agents.tokens", settings.agents.tokens)
    administrators = _tokens("administrators.tokens", settings.administrators.tokens)
    both = {entry.digest for entry in agents} & {entry.digest for entry in administrators}
    for account in sorted({entry.account for entry in agents if entry.digest in both}):
        yield f"administrators.tokens: a token of {account} is in agents.tokens, too: it opens both doors"
    if settings.agents.tokens is None or settings.agents.oidc_issuer:
        return
    known = {entry.account for entry in agents if entry.is_good(now)}
    for each in settings.backends:
        if (each.backend_user or "").lower() not in known:
            yield f"backends.backend-user: {each.backend_user} of {each.id} has no token in agents.tokens that is good"


def _tokens(where: str, path: Path | None) -> Tokens:
    return watch(where, path, parse_tokens, max_bytes=MAX_FILE_BYTES).value if path else Tokens()


def _about_limits(settings: Settings, descriptors: int) -> Iterator[str]:
    """Without a descriptor a connection is not refused: it waits, and nobody tells it for what."""
    connections, websockets = settings.limits.connections, settings.limits.websockets
    needed = connections + 2 * websockets
    if descriptors < needed:
        yield (
            f"limits.connections: with {connections} of them, and {websockets} websockets of two each, {needed} "
            f"descriptors are needed, but this process may have {descriptors}: raise that (LimitNOFILE=, ulimit -Hn), "
            "or lower limits.connections or limits.websockets"
        )
