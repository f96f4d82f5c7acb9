"""What the tables of settings have in common."""

from collections.abc import Mapping
from dataclasses import fields
from itertools import chain, combinations
from typing import Any, ClassVar, Self

from edge.settings import SettingsError
from standalone.settings.keys import Given, Key


class Table:
    """A frozen dataclass with a field for each of its keys, under the key's name."""

    __slots__ = ()

    NAME: ClassVar[str]
    KEYS: ClassVar[tuple[Key, ...]]
    ORDERS: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Keys none of which may be more than one that is named after it; but a default may be, so that who says less of
    the other need not say both."""

    @classmethod
    def of(cls, given: Mapping[str, Given]) -> Self:
        """The record of what is given, by the names of keys, and of defaults. Raises `SettingsError`."""
        values: dict[str, Any] = {key.field: key.value_of(given.get(key.name)) for key in cls.KEYS}
        # Each key's `parse` gives the type of its field.
        table = cls(**{field.name: values[field.name] for field in fields(cls)})  # type: ignore[arg-type]
        table._require_orders(given)
        table.check()
        return table

    def check(self) -> None:
        """Raises `SettingsError` for values that do not fit together; its text begins with `table.key: `."""

    def says(self, name: str) -> bool:
        """True where a key has another value than its default."""
        key = next(key for key in self.KEYS if key.name == name)
        return bool(self._value(name) != key.value_of(None))

    def _require_orders(self, given: Mapping[str, Given]) -> None:
        defaults = {key.name: key.default for key in self.KEYS}
        texts = defaults | {name: each.texts[0] for name, each in given.items() if each.texts}
        for name, other in chain.from_iterable(combinations(order, 2) for order in self.ORDERS):
            if self.says(name) and self._value(name) > self._value(other):
                raise SettingsError(
                    f"{given[name].origin}: is {texts[name]!r}, but must be at most {self.NAME}.{other}, which is "
                    f"{texts[other]!r}"
                )

    def _value(self, name: str) -> Any:
        return getattr(self, name.replace("-", "_"))
