"""The agent's settings: its flags, what each takes, and the environment. Only this module reads either.

The names are those of google/inverting-proxy, `agent/agent.go`, so that its command lines work unchanged.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from agent.commandline.durations import format_duration, parse_duration
from agent.commandline.flags import Flag, FlagError, describe, parse_boolean, parse_texts, read_texts
from wire.protocol import is_valid_request_id

VERSION: Final = "0.1.0"

_HOST: Final = "HOSTNAME:PORT"

USAGE: Final = "usage: python -m agent --proxy=URL --backend=ID [--host=HOST:PORT] [flags]"


class SettingsRequest(Exception):
    """The command line asks for a text (`--help`, `--version`) and not for an agent."""


@dataclass(frozen=True, slots=True)
class GoogleEnvironment:
    """Where this machine keeps its Google identity."""

    gcloud_folder: Path
    gcloud_configuration: str
    """The name of gcloud's active configuration; empty for the one that gcloud says itself."""
    metadata_host: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What the agent was told; one field for each flag."""

    proxy: str
    """URL of the proxy, without a trailing slash."""
    backend: str
    host: str
    """URL of the backend: scheme, host and port alone."""
    credentials: str
    """`google`, `none`, or `file:PATH`."""
    disable_gce_vm_header: bool
    proxy_timeout: timedelta
    request_forwarding_timeout: timedelta
    graceful_shutdown_timeout: timedelta
    concurrency: int
    forward_user_id: bool
    strip_credentials: bool
    debug: bool
    google: GoogleEnvironment

    @property
    def poll_limit(self) -> timedelta | None:
        """The longest that one poll may take; None for no limit."""
        return self.proxy_timeout or None

    @property
    def forwarding_limit(self) -> timedelta | None:
        """The longest that the backend may be silent: the larger of the two time-outs; None for no limit."""
        return max(self.proxy_timeout, self.request_forwarding_timeout) if self.proxy_timeout else None


def load_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """The settings that arguments and environment give.

    Raises `FlagError` with one line for the operator, `SettingsRequest` for `--help` and `--version`.
    """
    if {"-h", "-help", "--help"} & set(arguments):
        raise SettingsRequest(f"{USAGE}\n{describe(FLAGS)}")
    if {"-version", "--version"} & set(arguments):
        raise SettingsRequest(f"inverting-proxy agent {VERSION}")
    values = parse_texts(FLAGS, read_texts(FLAGS, arguments, _with_host(environment)))
    by_field = {name.replace("-", "_"): value for name, value in values.items()}
    # Each flag's `parse` gives the type of its field.
    settings = Settings(**by_field, google=_google_environment(environment))  # type: ignore[arg-type]
    if settings.credentials != "none" and not _may_carry_credentials(settings.proxy):
        raise FlagError(
            f"--proxy is {settings.proxy!r}: expected https:// (credentials never travel over plain http, but to"
            " this machine), or --credentials=none"
        )
    return settings


def _with_host(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment, and in it the backend's host and port as the original's image takes them: HOSTNAME and PORT.

    Shells and containers set HOSTNAME by themselves: alone it says nothing about the backend.
    """
    port = environment.get("PORT")
    return {**environment, _HOST: f"{environment.get('HOSTNAME') or 'localhost'}:{port}" if port else ""}


def _google_environment(environment: Mapping[str, str]) -> GoogleEnvironment:
    home = Path(environment.get("HOME") or "/")
    return GoogleEnvironment(
        gcloud_folder=Path(environment.get("CLOUDSDK_CONFIG") or home / ".config" / "gcloud"),
        gcloud_configuration=environment.get("CLOUDSDK_ACTIVE_CONFIG_NAME") or "",
        metadata_host=environment.get("GCE_METADATA_HOST") or "169.254.169.254",
    )


def _may_carry_credentials(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """True for an address of this machine, or the name that always means one (RFC 6761 section 6.3)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _parse_url(text: str, *, is_origin: bool) -> str:
    """An http(s) URL without user, query and fragment; `is_origin`: without a path too. No trailing slash."""
    parts = urlsplit(text)
    url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    is_usable = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and parts.port != 0
    is_visible_ascii = all("!" <= character <= "~" for character in text)
    if not is_usable or not is_visible_ascii or parts.query or parts.fragment or (is_origin and parts.path.strip("/")):
        raise ValueError("not a usable URL")
    return url


def _parse_host(text: str) -> str:
    return _parse_url(text if "://" in text else f"http://{text}", is_origin=True)


def _parse_backend(text: str) -> str:
    # Registered by others than us too: only what a header field can carry is asked for here.
    if not is_valid_request_id(text):
        raise ValueError("not a backend ID")
    return text


def _parse_credentials(text: str) -> str:
    if text in ("google", "none") or text.removeprefix("file:") not in ("", text):
        return text
    raise ValueError("not a kind of credentials")


def _parse_concurrency(text: str) -> int:
    if not 1 <= (number := int(text)) <= 1000:
        raise ValueError("out of range")
    return number


def _duration(name: str, group: str, default: timedelta, text: str) -> Flag:
    expects = "a duration such as 10ms, 1m30s or 0"
    return Flag(name, group, format_duration(default), expects, text, parse_duration)


def _boolean(name: str, group: str, text: str) -> Flag:
    return Flag(name, group, "false", "true or false", text, parse_boolean, is_boolean=True)


_PROXY: Final = "The proxy"
_BACKEND: Final = "The backend"
_RUNNING: Final = "Running"

FLAGS: Final = (
    Flag("proxy", _PROXY, "", "an http:// or https:// URL", "URL of the proxy.", partial(_parse_url, is_origin=False)),
    Flag("backend", _PROXY, "", "a backend ID", "ID under which the backend is registered.", _parse_backend),
    Flag(
        "credentials",
        _PROXY,
        "google",
        "google, none or file:PATH",
        "Who the agent is to the proxy: Google's credentials of this machine, nobody, or the bearer token in a file.",
        _parse_credentials,
    ),
    _boolean("disable-gce-vm-header", _PROXY, "Do not send the identity token of the Compute Engine VM."),
    _duration(
        "proxy-timeout", _PROXY, timedelta(seconds=60), "Limit of one poll; 0 for none. Longer than the proxy's wait."
    ),
    Flag(
        "host",
        _BACKEND,
        "localhost:8080",
        "HOST:PORT, http://HOST:PORT or https://HOST:PORT",
        "Where the backend listens.",
        _parse_host,
        environment=_HOST,
    ),
    _duration(
        "request-forwarding-timeout",
        _BACKEND,
        timedelta(),
        "Limit of the backend's silence; the larger of this and --proxy-timeout counts.",
    ),
    _boolean("forward-user-id", _BACKEND, "Tell the backend who the user is: X-Inverting-Proxy-User-ID."),
    _boolean("strip-credentials", _BACKEND, "Drop Authorization from what the backend gets."),
    Flag("concurrency", _RUNNING, "64", "a number from 1 to 1000", "Requests at a time.", _parse_concurrency),
    _duration(
        "graceful-shutdown-timeout",
        _RUNNING,
        timedelta(seconds=30),
        "On SIGTERM and SIGINT: how long running requests may take to finish.",
    ),
    _boolean("debug", _RUNNING, "Write a debug log."),
)
