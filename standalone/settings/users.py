"""[users]: how users come in, and how the proxy knows them."""

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Final, Literal

from broker.model import ALL_USERS
from edge.identity import is_email
from edge.settings import SettingsError
from standalone.identity.origins import Origin, parse_origin
from standalone.identity.session_keys import MAX_FILE_BYTES, parse_keys
from standalone.settings.certificates import require_certificates
from standalone.settings.keys import Key, file, switch, text, time
from standalone.settings.secrets import MAX_SECRET_BYTES, parse_secret, require_file
from standalone.settings.table import Table
from standalone.settings.urls import provider_keys
from wire.protocol import USER_ID

SIGN_IN: Final = ("public", "header", "oidc")

_FIELD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_NEVER: Final = {
    *("authorization", "connection", "content-length", "cookie", "host", "transfer-encoding", "upgrade"),
    *("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", USER_ID.lower()),
}
"""Fields that say something else, to this proxy or to an agent."""
_ORIGIN: Final = "an origin as browsers write it: https://proxy.example.org, or http:// on localhost"


_NEEDED: Final = {"header", "public-urls", "oidc-issuer", "oidc-client-id"}


def _way_of(name: str) -> str:
    """The way of signing in that a key is about; empty for all."""
    if name.startswith(("oidc-", "session-")) or name in ("public-urls", "allowed-origins"):
        return "oidc"
    return "header" if name.startswith("header") else ""


def _parse_sign_in(given: str) -> str:
    if given not in ("", *SIGN_IN):
        raise ValueError("none of these words")
    return given


def _parse_field(given: str) -> str:
    if given and (not _FIELD.fullmatch(given) or given.lower() in _NEVER):
        raise ValueError("not a field that can name a user")
    return given


def _parse_allowed(given: str) -> str:
    if given == ALL_USERS:
        return given
    if not is_email(given) and not (given.startswith("@") and is_email(f"x{given}")):
        raise ValueError("neither an address nor a domain")
    return given.lower()


def _parse_scopes(given: str) -> str:
    if "openid" not in given.split():
        raise ValueError("no scopes of OpenID Connect")
    return given


def _parse_exact_origin(given: str) -> str:
    origin = parse_origin(given)
    if "*" in origin.host:
        raise ValueError("not one origin")
    return str(origin)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSettings(Table):
    """Who users are, and which of them may come in."""

    sign_in: Literal["", "public", "header", "oidc"]
    """Empty where it is not said: that is for an open proxy alone."""
    allowed: tuple[str, ...]
    """Empty for all that are known."""
    header: str
    header_prefix: str
    public_urls: tuple[Origin, ...]
    oidc_issuer: str
    oidc_ca_file: Path | None
    oidc_client_id: str
    oidc_client_secret: Path | None
    oidc_scopes: str
    oidc_trusts_addresses: bool
    oidc_signs_out: bool
    session_keys: Path | None
    session_lifetime: timedelta
    session_idle: timedelta
    allowed_origins: tuple[str, ...]

    def check(self) -> None:
        for key in self.KEYS:
            self._require_way(key.name)
        if self.allowed and self.sign_in in ("", "public"):
            raise SettingsError("users.allowed: goes with users.sign-in that asks who users are: header or oidc")
        if self.sign_in == "oidc" and not self.allowed:
            raise SettingsError(
                'users.allowed: is not set, but must be, with users.sign-in = "oidc": addresses, domains like '
                f"@example.org, or {ALL_USERS} for everybody whom the provider knows"
            )
        require_certificates("users.oidc-ca-file", self.oidc_ca_file)
        require_file("users.session-keys", self.session_keys, parse_keys, max_bytes=MAX_FILE_BYTES)
        require_file("users.oidc-client-secret", self.oidc_client_secret, parse_secret, max_bytes=MAX_SECRET_BYTES)

    def _require_way(self, name: str) -> None:
        way = _way_of(name)
        if way == self.sign_in and name in _NEEDED and not self.says(name):
            raise SettingsError(f'users.{name}: is not set, but must be, with users.sign-in = "{way}"')
        if way not in ("", self.sign_in) and self.says(name):
            raise SettingsError(f'users.{name}: goes with users.sign-in = "{way}" alone')

    NAME: ClassVar = "users"
    ORDERS: ClassVar = (("session-idle", "session-lifetime"),)
    KEYS: ClassVar = (
        Key(
            name="sign-in",
            default="",
            expects=f"one of {', '.join(SIGN_IN)}",
            help="How users are known: not at all; by a field of a proxy in front; by signing in at an OpenID "
            "provider. To be said without `--open`.",
            parse=_parse_sign_in,
        ),
        Key(
            name="allowed",
            default="",
            expects=f"an e-mail address, a domain like @example.org, or {ALL_USERS}",
            help="Who of those that are known may come in; all that a proxy in front lets through, but with `oidc` it "
            "has to be said.",
            parse=_parse_allowed,
            is_list=True,
        ),
        Key(
            name="header",
            default="",
            expects="the name of a header field, of letters, digits and dashes, but none like Cookie or Host",
            help="With `header`: the field that names the user. It is believed from `listen.trusted-peers` alone.",
            parse=_parse_field,
        ),
        text("header-prefix", "", "What stands before the name in that field: `accounts.google.com:` behind IAP."),
        Key(
            name="public-urls",
            default="",
            expects=_ORIGIN,
            help="With `oidc`: where browsers reach this proxy; the host may be `*.example.org`.",
            parse=parse_origin,
            is_list=True,
        ),
        *provider_keys("With `oidc`: where users sign in: an OpenID provider, found by discovery."),
        text("oidc-client-id", "", "As what the provider knows this proxy."),
        file(
            "oidc-client-secret", "Has the client's secret; without it the proxy is a public client, with PKCE alone."
        ),
        Key(
            name="oidc-scopes",
            default="openid email",
            expects="words with spaces between, one of them openid",
            help="What the provider is asked for.",
            parse=_parse_scopes,
        ),
        switch("oidc-trusts-addresses", False, "Take e-mail addresses that the provider does not call verified."),
        switch("oidc-signs-out", True, "Who signs out here signs out at the provider, if it has a page for that."),
        file(
            "session-keys",
            "Keys that seal the cookies, one a line, the newest first; without it sessions end with the process.",
        ),
        time("session-lifetime", "12h", "How long a session lasts at most."),
        time("session-idle", "1h", "How long a session lasts without being used."),
        Key(
            name="allowed-origins",
            default="",
            expects=_ORIGIN,
            help="Pages of other origins that may change something in the name of a user who is signed in here.",
            parse=_parse_exact_origin,
            is_list=True,
        ),
    )
