"""The flags about the proxy: where it is, and who the agent is to it."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from agent.commandline.flags import Flag, FlagError
from agent.commandline.parsing import authorities, boolean, duration, is_loopback, parse_url
from agent.settings.group import Group
from wire.protocol import is_valid_request_id


@dataclass(frozen=True, slots=True)
class ProxySettings(Group):
    """What the agent was told about its proxy."""

    proxy: str
    """URL of the proxy, with the slash at its end if it was given one: the VM's identity tokens name the proxy as it
    was given, as those of the original's agent do."""
    backend: str
    """The ID under which the backend is registered."""
    credentials: str
    """`google`, `none`, or `file:PATH`."""
    oidc_audience: str
    """Send an ID token for this audience instead of an access token; empty for none."""
    iap_client_id: str
    """Send an ID token for this audience in `Proxy-Authorization`; empty for none."""
    disable_gce_vm_header: bool
    proxy_ca_file: Path | None
    proxy_timeout: timedelta

    @property
    def poll_limit(self) -> timedelta | None:
        """The longest that one poll may take; None for no limit."""
        return self.proxy_timeout or None

    def check(self) -> None:
        if self.credentials != "none" and not _may_carry_credentials(self.proxy):
            raise FlagError(
                f"--proxy is {self.proxy!r}: expected https:// (credentials never travel over plain http, but to"
                " this machine), or --credentials=none"
            )
        if self.oidc_audience and self.credentials != "google":
            raise FlagError(
                f"--oidc-audience is {self.oidc_audience!r}: expected --credentials=google, which makes the ID tokens"
            )


def _may_carry_credentials(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def _parse_proxy(text: str) -> str:
    return parse_url(text, is_origin=False) + ("/" if text.endswith("/") else "")


def _parse_backend(text: str) -> str:
    # Registered by others than us too: only what a header field can carry is asked for here.
    if not is_valid_request_id(text):
        raise ValueError("not a backend ID")
    return text


def _parse_credentials(text: str) -> str:
    if text in ("google", "none") or text.removeprefix("file:") not in ("", text):
        return text
    raise ValueError("not a kind of credentials")


def _parse_audience(text: str) -> str:
    if not all("!" <= character <= "~" for character in text):
        raise ValueError("not an audience")
    return text


FLAGS: Final = (
    Flag(
        "proxy",
        "",
        "an http:// or https:// URL",
        "URL of the proxy; on App Engine of its agent service.",
        _parse_proxy,
        is_required=True,
    ),
    Flag("backend", "", "a backend ID", "ID under which the backend is registered.", _parse_backend, is_required=True),
    Flag(
        "credentials",
        "google",
        "google, none or file:PATH",
        "Who the agent is to the proxy: Google's credentials of this machine, nobody, or the bearer token in a file.",
        _parse_credentials,
    ),
    Flag(
        "oidc-audience",
        "",
        "an audience: visible ASCII",
        "Send an OpenID Connect ID token for this audience instead of an access token.",
        _parse_audience,
    ),
    Flag(
        "iap-client-id",
        "",
        "an OAuth client ID: visible ASCII",
        "The proxy is behind Identity-Aware Proxy with this client ID: an ID token goes into Proxy-Authorization.",
        _parse_audience,
    ),
    boolean("disable-gce-vm-header", "Do not send the identity token of the Compute Engine VM."),
    authorities("proxy-ca-file", "Trust the certificate authorities in this file (PEM) for the proxy, and no others."),
    duration("proxy-timeout", timedelta(seconds=60), "Limit of one poll; 0 for none. Longer than the proxy's wait."),
)
