"""[[backends]]: registrations that stand in the file of settings, each in a table of its own."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from api_service.fields import FIELDS
from api_service.schema import make_backend
from broker.model import Backend
from edge.settings import SettingsError
from standalone.settings.keys import Key
from standalone.settings.table import Table


def _json_name(name: str) -> str:
    """`end-user` as the API spells it: `endUser`."""
    return re.sub("-(.)", lambda match: match[1].upper(), name)


def _key(name: str, help: str, *, default: str = "", is_list: bool = False, is_count: bool = False) -> Key:
    """A field of a backend as the API has it; an empty default stands for nothing."""
    field = FIELDS[_json_name(name)]

    def parse(text: str) -> object:
        value = int(text) if is_count and text.isascii() and text.isdigit() else text
        if (text or is_list) and not field.is_valid([value] if is_list else value):
            raise ValueError("not valid")
        return value or None

    return Key(name=name, default=default, expects=field.wanted, help=help, parse=parse, is_list=is_list)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSettings(Table):
    """One registration; `backend` makes of it what the broker knows."""

    id: str | None
    end_user: str | None
    backend_user: str | None
    path_prefixes: tuple[str, ...]
    hosts: tuple[str, ...]
    agents: str
    max_exchanges: int | None
    max_queue: int | None
    shim_path: str | None

    NAME: ClassVar = "backends"
    KEYS: ClassVar = (
        _key("id", "Its name; required."),
        _key("end-user", "Whom it serves; required."),
        _key("backend-user", "Whose agents may serve it; required."),
        _key("path-prefixes", "The paths that it serves, segment by segment.", default="/", is_list=True),
        _key("hosts", "The hosts that it serves; without, all that no other backend names.", is_list=True),
        _key("agents", "How [several agents](#several-agents) share its requests.", default="pull"),
        _key("max-exchanges", "Its requests under way at a time; without, `limits.backend-exchanges`.", is_count=True),
        _key("max-queue", "Its requests that no agent has taken yet; without, `limits.queue`.", is_count=True),
        _key("shim-path", "The `--shim-path` of agents that carry websockets over ordinary requests."),
    )

    def require_whole(self, number: int) -> None:
        """Raises `SettingsError`, with its number, for one that lacks what is required, or has too much."""
        for key in self.KEYS:
            field, value = FIELDS[_json_name(key.name)], getattr(self, key.field)
            if field.is_required and not value:
                raise SettingsError(f"backends[{number}].{key.name}: is missing{f' at {self.id!r}' if self.id else ''}")
            if key.is_list and not field.is_valid(list(value)):
                raise SettingsError(
                    f"backends[{number}].{key.name}: has {len(value)} at {self.id!r}, but must be {field.wanted}"
                )

    def backend(self) -> Backend:
        """The registration."""
        given = {_json_name(key.name): getattr(self, key.field) for key in self.KEYS}
        return make_backend(
            {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in given.items()
                if value is not None
            }
        )


def require_sound(backends: Iterable[BackendSettings]) -> None:
    """Raises `SettingsError` for one that is not whole, and for an ID that stands twice."""
    numbers: dict[str | None, int] = {}
    for number, each in enumerate(backends):
        each.require_whole(number)
        if each.id in numbers:
            raise SettingsError(f"backends[{number}].id: is {each.id!r}, but that is backends[{numbers[each.id]}]")
        numbers[each.id] = number
