"""What the tables of settings have in common."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar, Self

from standalone.settings.keys import Given, Key


class Table:
    """A frozen dataclass with a field for each of its keys, under the key's name."""

    __slots__ = ()

    NAME: ClassVar[str]
    KEYS: ClassVar[tuple[Key, ...]]

    @classmethod
    def of(cls, given: Mapping[str, Given]) -> Self:
        """The record of what is given, by the names of keys, and of defaults. Raises `SettingsError`."""
        values: dict[str, Any] = {key.field: key.value_of(given.get(key.name)) for key in cls.KEYS}
        # Each key's `parse` gives the type of its field.
        table = cls(**{field.name: values[field.name] for field in fields(cls)})  # type: ignore[arg-type]
        table.check()
        return table

    def check(self) -> None:
        """Raises `SettingsError` for values that do not fit together; its text begins with `table.key: `."""
