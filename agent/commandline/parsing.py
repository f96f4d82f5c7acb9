"""Values of flags, each checked as far as it can be without looking outside; and makers for the common kinds of flag.

Every `parse_…` raises `ValueError` for what it does not take.
"""

import ipaddress
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from agent.commandline.durations import format_duration, parse_duration
from agent.commandline.flags import Flag, parse_boolean

T = TypeVar("T")


def parse_url(text: str, *, is_origin: bool) -> str:
    """An http(s) URL without user, query and fragment; `is_origin`: without a path too. No trailing slash."""
    parts = urlsplit(text)
    url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    is_usable = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and parts.port != 0
    is_visible_ascii = all("!" <= character <= "~" for character in text)
    if not is_usable or not is_visible_ascii or parts.query or parts.fragment or (is_origin and parts.path.strip("/")):
        raise ValueError("not a usable URL")
    return url


def parse_origin(text: str) -> str:
    """Where a backend listens, as a URL: `HOST:PORT`, `http://…`, `https://…` or `unix:///path/to.sock`."""
    if text.startswith("unix://"):
        if not text.removeprefix("unix://").startswith("/") or "\0" in text or text.endswith("/"):
            raise ValueError("not the path of a socket")
        return text
    return parse_url(text if "://" in text else f"http://{text}", is_origin=True)


def is_loopback(host: str) -> bool:
    """True for an address of this machine, or the name that always means one (RFC 6761 section 6.3)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse_lines(parse: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """A parser for the text of a flag that may be given several times."""
    return lambda text: tuple(parse(line) for line in text.splitlines() if line)


def number(name: str, default: str, text: str, *, least: int, most: int) -> Flag:
    def parse(given: str) -> int:
        # Base 0 as in Go, for 0x10; but not for 010, which Go takes to be eight.
        if not given.isascii() or not least <= (value := int(given, 0)) <= most:
            raise ValueError("out of range")
        return value

    return Flag(name, default, f"a number from {least} to {most}", text, parse)


def duration(name: str, default: timedelta, text: str) -> Flag:
    return Flag(name, format_duration(default), "a duration such as 10ms, 1m30s or 0", text, parse_duration)


def boolean(name: str, text: str) -> Flag:
    return Flag(name, "false", "true or false", text, parse_boolean, is_boolean=True)


def file(name: str, text: str) -> Flag:
    """A file that has to be there when the agent starts; empty for none."""

    return Flag(name, "", "a file that exists", text, _parse_file)


def authorities(name: str, text: str) -> Flag:
    """A file with at least one certificate to trust (PEM); empty for none."""

    def parse(given: str) -> Path | None:
        path = _parse_file(given)
        if path is not None:
            _check_certificates(path)
        return path

    return Flag(name, "", "a file with certificates (PEM)", text, parse)


def _parse_file(given: str) -> Path | None:
    if given and not (path := Path(given)).is_file():
        raise ValueError("no such file")
    return path if given else None


def _check_certificates(path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
    except OSError as exc:
        raise ValueError("not readable as PEM") from exc
    if not context.cert_store_stats()["x509"]:
        raise ValueError("lists of revocations alone")


def check_own_certificate(certificate: Path, key: Path | None) -> None:
    """Raises `ValueError` for a certificate (PEM) that cannot be shown with this key, or with the one in its file."""

    def refuse() -> str:
        # Without this OpenSSL would ask on the terminal.
        raise ValueError("the key wants a password")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password=refuse)
    except OSError as exc:
        raise ValueError("not a certificate and its key") from exc
