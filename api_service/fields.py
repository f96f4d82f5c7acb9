"""The fields of a backend: which there are, and what each must be."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from broker.hosts import pattern_of
from broker.model import ALL_USERS, Sharing
from edge.identity import is_account, is_email
from wire.protocol import is_valid_backend_id

MAX_LIST: Final = 100
_MAX_LENGTH: Final = 1000
_SHIM_PATH: Final = re.compile(r"(?!.*(?:^|/)\.\.?(?:/|$))[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a registration."""

    is_valid: Callable[[object], bool]
    wanted: str
    """What it must be, in words."""
    is_required: bool = False
    is_option: bool = False
    """True for what the stand-alone proxy alone does."""


def _is_address(value: object) -> bool:
    return isinstance(value, str) and is_email(value)


def _is_domain(value: object) -> bool:
    return isinstance(value, str) and value.startswith("@") and is_email(f"x{value}")


def _is_account(value: object) -> bool:
    return isinstance(value, str) and is_account(value)


def _is_prefix(value: object) -> bool:
    return (
        isinstance(value, str)
        and value.startswith("/")
        and len(value) <= _MAX_LENGTH
        and all("!" <= character <= "~" and character not in "?#" for character in value)
        and not {".", ".."} & set(value.split("/"))
    )


def _are_prefixes(value: object) -> bool:
    return isinstance(value, list) and 0 < len(value) <= MAX_LIST and all(_is_prefix(item) for item in value)


def _are_hosts(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MAX_LIST
        and all(isinstance(item, str) and pattern_of(item) is not None for item in value)
    )


def _is_count(value: object) -> bool:
    return type(value) is int and 0 < value <= 1_000_000


def _is_shim_path(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_LENGTH and _SHIM_PATH.fullmatch(value.strip("/")) is not None


_COUNT: Final = "a whole number from 1 to 1000000"

FIELDS: Final[Mapping[str, Field]] = {
    "id": Field(
        lambda value: isinstance(value, str) and is_valid_backend_id(value),
        "1 to 256 letters, digits or any of ._~@:+=,- and begin with a letter or a digit",
        is_required=True,
    ),
    "endUser": Field(
        lambda value: value == ALL_USERS or _is_address(value) or _is_domain(value),
        f"an e-mail address, a domain like @example.org, or {ALL_USERS!r}",
        is_required=True,
    ),
    "backendUser": Field(
        _is_account,
        "the account that runs the agent: its e-mail address, or its name in a list of tokens",
        is_required=True,
    ),
    "pathPrefixes": Field(
        _are_prefixes,
        f'a list of up to {MAX_LIST} paths as they stand in URLs, each beginning with "/" and without "?", "#", "." '
        'and ".." segments; ["/"] for all',
    ),
    "hosts": Field(
        _are_hosts,
        f'a list of up to {MAX_LIST} names of hosts as browsers send them, without ports, like "app.example.org" or '
        '"*.example.org" for all below it',
    ),
    "agents": Field(
        lambda value: value in [each.value for each in Sharing],
        f"one of {', '.join(each.value for each in Sharing)}",
        is_option=True,
    ),
    "maxExchanges": Field(_is_count, _COUNT, is_option=True),
    "maxQueue": Field(_is_count, _COUNT, is_option=True),
    "shimPath": Field(_is_shim_path, "the --shim-path of its agents, like websocket-shim", is_option=True),
}
"""By their names in JSON: the original's, and behind them ours."""
