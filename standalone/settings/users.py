"""[users]: how users come in, and how the proxy knows them."""

import re
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from broker.model import ALL_USERS
from edge.identity import is_email
from edge.settings import SettingsError
from standalone.settings.keys import Key, text
from standalone.settings.table import Table

SIGN_IN: Final = ("public", "header")

_FIELD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_NEVER: Final = {"authorization", "connection", "content-length", "cookie", "host", "transfer-encoding"}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSettings(Table):
    """Who users are, and which of them may come in."""

    sign_in: Literal["", "public", "header"]
    """Empty where it is not said: that is for an open proxy alone."""
    allowed: tuple[str, ...]
    header: str
    header_prefix: str

    def check(self) -> None:
        if (self.sign_in == "header") != bool(self.header):
            raise SettingsError('users.header: goes with users.sign-in = "header": the field that names the user')

    NAME: ClassVar = "users"
    KEYS: ClassVar = (
        Key(
            name="sign-in",
            default="",
            expects=f"one of {', '.join(SIGN_IN)}",
            help="How users are known: not at all, or by a field that a proxy in front sets. To be said without "
            "`--open`.",
            parse=_parse_sign_in,
        ),
        Key(
            name="allowed",
            default=ALL_USERS,
            expects=f"an e-mail address, a domain like @example.org, or {ALL_USERS}",
            help="Who of those that are known may come in; backends for `allUsers` serve them all.",
            parse=_parse_allowed,
            is_list=True,
        ),
        Key(
            name="header",
            default="",
            expects="the name of a header field, of letters, digits and dashes",
            help="With `header`: the field that names the user. It is believed from `listen.trusted-peers` alone.",
            parse=_parse_field,
        ),
        text("header-prefix", "", "What stands before the name in that field: `accounts.google.com:` behind IAP."),
    )
