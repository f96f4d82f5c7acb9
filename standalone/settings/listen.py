"""[listen]: where users, agents and administrators connect, and whom the proxy believes."""

import ipaddress
import re
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import ClassVar, Final

from edge.settings import SettingsError
from standalone.peers import FIELDS, Field, Network
from standalone.settings.addresses import ADDRESS, Address, parse_address
from standalone.settings.keys import Key, choice, folder
from standalone.settings.table import Table

UNIX: Final = "unix"
"""Stands among networks for the other side of every unix socket."""

_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.ASCII)


def _addresses(name: str, default: str, help: str) -> Key:
    return Key(name=name, default=default, expects=ADDRESS, help=help, parse=parse_address, is_list=True)


def _parse_host(text: str) -> str:
    if text and not _HOST.fullmatch(text.lower()):
        raise ValueError("not a host name")
    return text.lower()


def _host(name: str, help: str) -> Key:
    return Key(name=name, default="", expects="a host name like agents.example.org", help=help, parse=_parse_host)


def _parse_peer(text: str) -> Network | str:
    return UNIX if text == UNIX else ipaddress.ip_network(text)


def _parse_mode(text: str) -> int:
    # Also 0o660 of TOML, which is the number 432, must not pass for a mode.
    if not re.fullmatch(r"[67][0-7]{2}", text):
        raise ValueError("not a mode")
    return int(text, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenSettings(Table):
    """Where to listen, and whom to believe."""

    users: tuple[Address, ...]
    agents: tuple[Address, ...]
    """Empty for the users' addresses."""
    api: tuple[Address, ...]
    """Likewise."""
    redirect: tuple[Address, ...]
    acme_folder: Path | None
    agents_host: str
    api_host: str
    socket_mode: int
    trusted_peers: tuple[Network | str, ...]
    """Networks, and `UNIX`."""
    forwarded: tuple[Field, ...]
    proxy_protocol: tuple[str, ...]
    """Names of keys above."""

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks among the trusted peers."""
        return tuple(peer for peer in self.trusted_peers if not isinstance(peer, str))

    @property
    def by_key(self) -> dict[str, tuple[Address, ...]]:
        """Every address, by the key that has it."""
        return {"users": self.users, "agents": self.agents, "api": self.api, "redirect": self.redirect}

    def check(self) -> None:
        if not self.users:
            raise SettingsError(f"listen.users: is empty, but must be {ADDRESS}")
        if any(address.scheme == "https" for address in self.redirect):
            raise SettingsError("listen.redirect: speaks TLS itself, but must be an address without https://")
        if self.acme_folder and not self.redirect:
            raise SettingsError("listen.redirect: is empty, but must be an address (port 80) for listen.acme-folder")
        if "Forwarded" in self.forwarded and len(self.forwarded) > 1:
            raise SettingsError("listen.forwarded: Forwarded says all that the others say, and so stands alone")
        if self.proxy_protocol and not self.trusted_peers:
            raise SettingsError("listen.trusted-peers: is empty, but must name those who speak the PROXY protocol")
        if self.says("forwarded") and not self.trusted_peers:
            raise SettingsError("listen.trusted-peers: is empty, but must name those who set listen.forwarded")
        if "redirect" in self.proxy_protocol and not self.redirect:
            raise SettingsError("listen.proxy-protocol: names redirect, but there are no addresses in listen.redirect")
        if self.agents_host and self.agents_host == self.api_host:
            raise SettingsError("listen.api-host: is that of the agents, but must be another")
        self._require_places()

    def _require_places(self) -> None:
        """Doors may share an address, where it is written alike; everything else needs a place of its own."""
        places = [(key, address) for key, addresses in self.by_key.items() for address in addresses]
        for (one, first), (other, second) in combinations(places, 2):
            is_shared = first == second and one != other and other != "redirect"
            if first.excludes(second) and not is_shared:
                raise SettingsError(
                    f"listen.{other}: {second} takes the place of {first} in listen.{one}: it must be another, or the "
                    "same word for word, where doors share it"
                )

    NAME: ClassVar = "listen"
    KEYS: ClassVar = (
        _addresses("users", "127.0.0.1:8080", "Where users connect; port 0 picks a free one."),
        _addresses("agents", "", "Where agents connect; without it where users do."),
        _addresses("api", "", "Where administrators connect; without it where users do."),
        _addresses("redirect", "", "Where clients that speak plain http are sent on to the users' address with TLS."),
        folder(
            "acme-folder",
            "Where certbot and the like (`--webroot-path`) put what the redirecting addresses show to an authority.",
        ),
        _host("agents-host", "On an address with several doors: the name by which agents reach theirs."),
        _host("api-host", "On an address with several doors: the name by which administrators reach theirs."),
        Key(
            name="socket-mode",
            default="660",
            expects="three octal digits like 660, the first of them 6 or 7",
            help="Who may connect to unix sockets.",
            parse=_parse_mode,
        ),
        Key(
            name="trusted-peers",
            default="",
            expects=f"a network by its first address, like 10.0.0.0/8, an address, or {UNIX} for unix sockets",
            help="Proxies in front, which are believed what they say of their clients.",
            parse=_parse_peer,
            is_list=True,
        ),
        choice(
            "forwarded",
            "X-Forwarded-For,X-Forwarded-Proto,X-Forwarded-Host",
            FIELDS,
            "The fields that trusted peers set; one that they let through would be the client's word.",
            is_list=True,
        ),
        choice(
            "proxy-protocol",
            "",
            ("users", "agents", "api", "redirect"),
            "At whose addresses each connection begins with a header of the PROXY protocol (1 or 2), and comes from a "
            "trusted peer.",
            is_list=True,
        ),
    )
