"""[listen]: where users, agents and administrators connect."""

from dataclasses import dataclass
from typing import ClassVar

from standalone.settings.addresses import ADDRESS, Address, parse_address
from standalone.settings.keys import Key
from standalone.settings.table import Table


def _addresses(name: str, default: str, help: str) -> Key:
    return Key(name=name, default=default, expects=ADDRESS, help=help, parse=parse_address, is_list=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenSettings(Table):
    """Where to listen."""

    users: tuple[Address, ...]

    NAME: ClassVar = "listen"
    KEYS: ClassVar = (_addresses("users", "127.0.0.1:8080", "Where users connect; port 0 picks a free one."),)
