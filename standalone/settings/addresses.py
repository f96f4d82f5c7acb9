"""Where to listen, as it is written in settings: `127.0.0.1:8080`, `https://[::]:443`, `unix:///run/proxy.sock`."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Literal, cast

Scheme = Literal["", "http", "https", "unix"]

ADDRESS: Final = (
    "an address and a port like 127.0.0.1:8080, [::1]:8080 or https://0.0.0.0:443, or unix:///PATH of up to 107 bytes"
)

_ADDRESS = re.compile(r"(?:(http|https)://)?(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """A place to listen at."""

    scheme: Scheme
    """`http` for no TLS, `https` for TLS; empty for TLS where there is a certificate."""
    host: str
    """Address or name; of a unix socket the path."""
    port: int = 0
    """0 for a free one."""

    @property
    def is_fixed(self) -> bool:
        """False where each socket gets another port."""
        return self.scheme == "unix" or self.port != 0

    @property
    def is_local(self) -> bool:
        """True where only this machine can connect."""
        if self.scheme == "unix":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def excludes(self, other: "Address") -> bool:
        """True where only one of the two can be listened at; no name but `localhost` is known."""
        if not (self.is_fixed and other.is_fixed) or (self.scheme == "unix") != (other.scheme == "unix"):
            return False
        one, two = _place(self.host), _place(other.host)
        if isinstance(one, str) or isinstance(two, str):
            return (one, self.port) == (two, other.port)
        is_same = one == two or (one.version == two.version and (one.is_unspecified or two.is_unspecified))
        return is_same and self.port == other.port

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix://{self.host}"
        return f"{self.scheme}{'://' if self.scheme else ''}{bracketed(self.host)}:{self.port}"


def _place(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | str:
    try:
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return host


def bracketed(host: str) -> str:
    """A host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def parse_address(text: str) -> Address:
    """A place to listen at. Raises `ValueError`."""
    if text.startswith("unix://"):
        path = text.removeprefix("unix://")
        if not path.startswith("/") or path.endswith("/") or "\0" in path or len(path.encode()) > 107:
            raise ValueError("not the path of a socket")
        return Address("unix", path)
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match[4]) > 65535:
        raise ValueError("not an address")
    if match[2] and ipaddress.IPv6Address(match[2]).ipv4_mapped:
        raise ValueError("an IPv4 address in the guise of another")
    if match[3] and not match[3].strip("0123456789."):
        ipaddress.IPv4Address(match[3])
    return Address(cast(Scheme, match[1] or ""), match[2] or match[3], int(match[4]))
