"""The flags about the backend: where it is, how it is spoken to, and what it is told."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, cast, get_args

from agent.commandline.flags import Flag, FlagError
from agent.commandline.parsing import (
    authorities,
    boolean,
    check_own_certificate,
    duration,
    file,
    number,
    parse_lines,
    parse_origin,
)
from agent.hygiene import ForwardedHeaders
from agent.settings.group import Group
from wire.headers import HOP_BY_HOP
from wire.protocol import OWNED_PREFIX

HOST: Final = "HOSTNAME:PORT"
"""Stands for the two variables in which the original's image takes host and port."""


@dataclass(frozen=True, slots=True)
class BackendSettings(Group):
    """What the agent was told about its backend."""

    host: str
    """URL of the backend: scheme, host and port alone, or `unix:///path/to.sock`."""
    path_map: tuple[tuple[str, str], ...]
    """Path prefix and URL of the backend that has it instead of `host`."""
    request_forwarding_timeout: timedelta
    force_http2: bool
    backend_ca_file: Path | None
    backend_client_certificate: Path | None
    backend_client_key: Path | None
    backend_server_name: str
    backend_insecure_skip_verify: bool
    host_header: str
    """`keep` for the user's, `backend` for the backend's own address, or what to send instead."""
    request_header: tuple[tuple[str, str], ...]
    """Fields that every request gets, in place of its own of these names."""
    forwarded_headers: ForwardedHeaders
    forward_user_id: bool
    strip_credentials: bool
    concurrency: int
    """Requests at a time."""

    def forwarding_limit(self, proxy_timeout: timedelta) -> timedelta | None:
        """The longest that the backend may be silent: the larger of the two time-outs; None for no limit."""
        return max(proxy_timeout, self.request_forwarding_timeout) if proxy_timeout else None

    def check(self) -> None:
        prefixes = [prefix.removesuffix("/") for prefix, _ in self.path_map]
        for prefix in prefixes:
            if prefixes.count(prefix) > 1:
                raise FlagError(f"--path-map: {prefix or '/'} stands twice: expected each path once")
        if self.backend_client_key is not None and self.backend_client_certificate is None:
            raise FlagError("--backend-client-key is given: expected --backend-client-certificate with it")
        if self.backend_insecure_skip_verify and self.backend_ca_file is not None:
            raise FlagError(
                "--backend-insecure-skip-verify and --backend-ca-file contradict each other: expected one of them"
            )
        if self.backend_client_certificate is not None:
            _check_own_certificate(self.backend_client_certificate, self.backend_client_key)


def _check_own_certificate(certificate: Path, key: Path | None) -> None:
    try:
        check_own_certificate(certificate, key)
    except ValueError as exc:
        with_key = f" and --backend-client-key {str(key)!r}" if key is not None else ""
        raise FlagError(
            f"--backend-client-certificate is {str(certificate)!r}{with_key}: expected a certificate and the key that"
            " belongs to it (PEM, without a password)"
        ) from exc


def with_host(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment, and in it the backend's host and port as the original's image takes them: HOSTNAME and PORT.

    Shells and containers set HOSTNAME by themselves: alone it says nothing about the backend.
    """
    port = environment.get("PORT")
    return {**environment, HOST: f"{environment.get('HOSTNAME') or 'localhost'}:{port}" if port else ""}


_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?")
_OURS: Final = HOP_BY_HOP | {"host", "content-length"}


def _parse_field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    value = value.strip(" \t")
    if not colon or not _TOKEN.fullmatch(name) or not (_VALUE.fullmatch(value) or not value):
        raise ValueError("not a header field")
    if name.lower() in _OURS or name.lower().startswith(OWNED_PREFIX.lower()):
        raise ValueError("a header field that is set otherwise")
    return name, value


def _parse_route(line: str) -> tuple[str, str]:
    prefix, equals, url = line.partition("=")
    if not prefix.startswith("/") or not equals or not all("!" <= character <= "~" for character in prefix):
        raise ValueError("not a path and a URL")
    return prefix, parse_origin(url)


def _parse_host_header(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.:\[\]_-]+", text):
        raise ValueError("not a host")
    return text


def _parse_server_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.:_-]*", text):
        raise ValueError("not a name")
    return text


def _parse_forwarded(text: str) -> ForwardedHeaders:
    for known in get_args(ForwardedHeaders):
        if text == known:
            return cast(ForwardedHeaders, text)
    raise ValueError("not a rule")


FLAGS: Final = (
    Flag(
        "host",
        "localhost:8080",
        "HOST:PORT, http://HOST:PORT, https://HOST:PORT or unix:///PATH",
        "Where the backend listens.",
        parse_origin,
        environment=HOST,
    ),
    Flag(
        "path-map",
        "",
        "/PREFIX=HOST:PORT or /PREFIX=URL",
        "Requests below this path go to another server than --host; may be given several times.",
        parse_lines(_parse_route),
        repeats=True,
    ),
    duration(
        "request-forwarding-timeout",
        timedelta(),
        "Limit of the backend's silence; the larger of this and --proxy-timeout counts.",
    ),
    boolean("force-http2", "Speak HTTP/2 to the backend: over TLS, or in clear with prior knowledge; gRPC needs it."),
    authorities(
        "backend-ca-file", "Trust the certificate authorities in this file (PEM) for the backend, and no others."
    ),
    file("backend-client-certificate", "Show this certificate (PEM) to the backend."),
    file("backend-client-key", "The key of --backend-client-certificate, where it is not in the same file."),
    Flag(
        "backend-server-name",
        "",
        "a host name",
        "The name that the backend's certificate must have, where it is not that of --host.",
        _parse_server_name,
    ),
    boolean("backend-insecure-skip-verify", "Trust whatever certificate the backend shows."),
    Flag(
        "host-header",
        "keep",
        "keep, backend or a host",
        "The Host that the backend sees: the user's, that of --host, or another.",
        _parse_host_header,
    ),
    Flag(
        "request-header",
        "",
        "'Name: value', of a field that is not about framing, the connection or the host",
        "A header field to set on every request to the backend; may be given several times.",
        parse_lines(_parse_field),
        repeats=True,
        is_secret=True,
    ),
    Flag(
        "forwarded-headers",
        "auto",
        "auto, keep or drop",
        "X-Forwarded-For, -Proto and -Host: as far as the proxy says that it has set them, whoever has, or never.",
        _parse_forwarded,
    ),
    boolean("forward-user-id", "Tell the backend who the user is: X-Inverting-Proxy-User-ID."),
    boolean("strip-credentials", "Drop Authorization from what the backend gets."),
    number("concurrency", "256", "Requests at a time.", least=1, most=10_000),
)
