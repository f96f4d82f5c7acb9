"""What the tables of settings have in common."""

from collections.abc import Mapping
from dataclasses import fields
from itertools import combinations
from typing import Any, ClassVar, Self

from edge.settings import SettingsError
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

    def says(self, name: str) -> bool:
        """True where a key has another value than its default."""
        key = next(key for key in self.KEYS if key.name == name)
        return bool(self._value(name) != key.value_of(None))

    def require_order(self, *names: str) -> None:
        """Raises `SettingsError` where a key is more than one that is named after it; but a default may be, so that
        who says less of the other need not say both."""
        for name, other in combinations(names, 2):
            if self.says(name) and self._value(name) > self._value(other):
                raise SettingsError(f"{self.NAME}.{name}: is more than {self.NAME}.{other}, but must not be")

    def _value(self, name: str) -> Any:
        return getattr(self, name.replace("-", "_"))
