"""What the settings mean, in words: for `--check-config` and for the start. No secrets."""

from collections.abc import Iterator

from standalone.doors.dispatch import Door, Entrance
from standalone.doors.entrances import entrances_of
from standalone.settings.load import Settings

OPEN = "OPEN: no passwords, for users or agents"
REDIRECT = "everybody is sent to https"

_WHO = {Door.USERS: "users", Door.AGENTS: "agents", Door.API: "administrators"}


def summary_of(settings: Settings) -> str:
    """The settings, a line for each thing."""
    return "\n".join(_lines_of(settings))


def _lines_of(settings: Settings) -> Iterator[str]:
    for address, entrance in entrances_of(settings):
        yield f"{address} - {behind(entrance)}{', with TLS' if settings.speaks_tls(address) else ''}"
    for address in settings.listen.redirect:
        yield f"{address} - {REDIRECT}"
    if settings.listen.trusted_peers:
        peers = ", ".join(map(str, settings.listen.trusted_peers))
        yield f"believed what they say of their clients in {', '.join(settings.listen.forwarded)}: {peers}"
    if settings.listen.proxy_protocol:
        yield f"PROXY protocol: {', '.join(settings.listen.proxy_protocol)}"
    for each in settings.backends:
        yield f"backend {each.id} for {each.end_user}, served by {each.backend_user}"
    if settings.storage.database:
        yield f"registrations: {settings.storage.database}"
    yield from _who_may_what(settings)


def announcement_of(settings: Settings, entrance: Entrance | None) -> str:
    """What is said of a listener when it listens; None is one that only leads to https."""
    if entrance is None:
        return REDIRECT
    return OPEN if settings.is_open else behind(entrance)


def behind(entrance: Entrance) -> str:
    """Who is served there: `users, agents (as agents.example.org)`."""
    names = {Door.AGENTS: entrance.agents_host, Door.API: entrance.api_host}
    shared = len(entrance.doors) > 1
    return ", ".join(
        f"{who} (as {names[door]})" if shared and names.get(door) else who
        for door, who in _WHO.items()
        if door in entrance.doors
    )


def _who_may_what(settings: Settings) -> Iterator[str]:
    if settings.is_open:
        yield OPEN
        return
    ways = {
        "public": "nobody is asked",
        "header": f"named by {settings.users.header}, which trusted peers set",
        "oidc": f"sign in at {settings.users.oidc_issuer}",
    }
    allowed = f"; of them {', '.join(settings.users.allowed)}" if settings.users.allowed else ""
    yield f"users: {ways[settings.users.sign_in]}{allowed}"
    for table in (settings.agents, settings.administrators):
        known = [f"tokens of {table.tokens}"] if table.tokens else []
        known += [f"ID tokens of {table.oidc_issuer} for {table.oidc_audience}"] if table.oidc_issuer else []
        yield f"{table.NAME}: {', '.join(known) or 'none'}"
