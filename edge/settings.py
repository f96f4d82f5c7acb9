"""Reading an environment: the parts that the three services share, and the small parsers.

A settings module reads the mapping that it is given; only composition roots know the process's environment.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, cast

from broker.policy import Policy
from edge.identity import is_email
from edge.logs import LogFormat
from edge.units import TIME, parse_time

IdentityKind = Literal["appengine", "oidc", "dev"]

_SERVER = re.compile(r"([A-Za-z0-9.-]+):([1-9]\d{0,4})")
_COUNT = re.compile(r"[1-9]\d{0,15}")


class SettingsError(ValueError):
    """A setting that is missing or cannot be used; the text begins with its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySettings:
    """Which identity the services use, and what it needs."""

    kind: IdentityKind
    admins: frozenset[str] = frozenset()
    dev_end_user: str = ""
    oidc_audience: str = ""
    iap_audience: str = ""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "IdentitySettings":
        """Raises `SettingsError`, also for an identity that would be unsafe where this runs."""
        kind = cast(IdentityKind, read_choice(environ, "IDENTITY", ("appengine", "oidc", "dev")))
        settings = cls(
            kind=kind,
            admins=read_emails(environ, "ADMINS"),
            dev_end_user=environ.get("DEV_END_USER", ""),
            oidc_audience=environ.get("OIDC_AUDIENCE", ""),
            iap_audience=environ.get("IAP_AUDIENCE", ""),
        )
        settings._require_safe(environ)
        return settings

    def _require_safe(self, environ: Mapping[str, str]) -> None:
        if self.kind == "appengine" and environ.get("GAE_ENV") != "standard":
            raise SettingsError(
                "IDENTITY: appengine works only on App Engine, which sets GAE_ENV=standard: elsewhere its header "
                "fields could come from anybody; use oidc, or dev on your own machine"
            )
        if self.kind == "dev" and environ.get("GAE_ENV"):
            raise SettingsError("IDENTITY: dev believes whatever a caller says, and so never runs on App Engine")
        if self.kind == "oidc" and not self.oidc_audience:
            raise SettingsError("OIDC_AUDIENCE: required with IDENTITY=oidc: the URL that ID tokens are made for")
        if self.kind != "appengine" and not self.admins:
            raise SettingsError(f"ADMINS: required with IDENTITY={self.kind}: e-mail addresses, separated by commas")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What the three services must agree on."""

    identity: IdentitySettings
    policy: Policy
    project: str
    namespace: str
    memcache: tuple[str, int] | None
    log_format: LogFormat
    on_appengine: bool

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Deployment":
        """Raises `SettingsError`."""
        default = Policy()
        on_appengine = environ.get("GAE_ENV") == "standard"
        log_default = "json" if on_appengine else "text"
        return cls(
            identity=IdentitySettings.from_env(environ),
            policy=Policy(
                response_wait=read_duration(environ, "RESPONSE_TIMEOUT", default.response_wait),
                idle_wait=read_duration(environ, "IDLE_TIMEOUT", default.idle_wait),
                backends_age=read_duration(environ, "BACKENDS_AGE", default.backends_age),
                max_body_bytes=read_count(environ, "MAX_BODY_BYTES", default.max_body_bytes),
            ),
            project=environ.get("GOOGLE_CLOUD_PROJECT", ""),
            namespace=environ.get("DATASTORE_NAMESPACE", ""),
            memcache=read_server(environ, "MEMCACHE"),
            log_format=cast(LogFormat, read_choice(environ, "LOG_FORMAT", ("text", "json"), default=log_default)),
            on_appengine=on_appengine,
        )


def read_choice(environ: Mapping[str, str], name: str, choices: tuple[str, ...], *, default: str = "") -> str:
    """One of some words. Raises `SettingsError`."""
    value = environ.get(name, "") or default
    if value not in choices:
        raise SettingsError(f"{name}: {_shown(value)}, but must be one of {', '.join(choices)}")
    return value


def read_switch(environ: Mapping[str, str], name: str) -> bool:
    """`true` or `false`; not set means false. Raises `SettingsError`."""
    return read_choice(environ, name, ("true", "false"), default="false") == "true"


def read_duration(environ: Mapping[str, str], name: str, default: timedelta) -> timedelta:
    """A time above zero, like `500ms`, `30s`, `2.5m` or `1h`. Raises `SettingsError`."""
    value = environ.get(name, "")
    if not value:
        return default
    try:
        return parse_time(value)
    except ValueError as exc:
        raise SettingsError(f"{name}: {_shown(value)}, but must be {TIME}") from exc


def read_server(environ: Mapping[str, str], name: str) -> tuple[str, int] | None:
    """Host and port of a server; not set means none. Raises `SettingsError`."""
    value = environ.get(name, "")
    if not value:
        return None
    match = _SERVER.fullmatch(value)
    if match is None or int(match[2]) > 65535:
        raise SettingsError(f"{name}: {_shown(value)}, but must be HOST:PORT, like 127.0.0.1:11211")
    return match[1], int(match[2])


def read_count(environ: Mapping[str, str], name: str, default: int) -> int:
    """A whole number above zero. Raises `SettingsError`."""
    value = environ.get(name, "")
    if not value:
        return default
    if not _COUNT.fullmatch(value):
        raise SettingsError(f"{name}: {_shown(value)}, but must be a whole number above zero")
    return int(value)


def read_emails(environ: Mapping[str, str], name: str) -> frozenset[str]:
    """E-mail addresses separated by commas, in lower case. Raises `SettingsError`."""
    emails = frozenset(word.strip().lower() for word in environ.get(name, "").split(",") if word.strip())
    for email in sorted(emails):
        if not is_email(email):
            raise SettingsError(f"{name}: {_shown(email)} is not an e-mail address")
    return emails


def _shown(value: str) -> str:
    return f"is {value[:80]!r}" if value else "is not set"
