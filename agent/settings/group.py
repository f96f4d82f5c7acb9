"""What the groups of flags have in common."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Self


class Group:
    """A frozen dataclass with a field for each flag of its group, under the flag's name."""

    __slots__ = ()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The group in the values of all flags. Raises `FlagError`."""
        # Each flag's `parse` gives the type of its field.
        group = cls(**{field.name: values[field.name] for field in fields(cls)})  # type: ignore[arg-type]
        group.check()
        return group

    def check(self) -> None:
        """Raises `FlagError` for values that do not fit together."""
