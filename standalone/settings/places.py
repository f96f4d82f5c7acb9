"""Where a setting stands, or would: what errors about several begin with, as those about one do."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from edge.settings import SettingsError
from standalone.settings.sources import GivenFile, GivenTables
from standalone.settings.table import Table

Places = Mapping[str, str]
"""By `table.key`: `proxy.toml: log.format`, `INVERTING_PROXY_LOG_FORMAT`, `--port`."""


def places_of(tables: Iterable[type[Table]], file: GivenFile, given: GivenTables) -> dict[str, str]:
    """Those of what is given, in the file or elsewhere; what nobody gives would stand in the file, if there is one."""
    places = {
        key: f"{file.where}{key}" for table in tables for key in _keys_of(table, len(file.lists.get(table.NAME, ())))
    }
    return places | {f"{table}.{name}": each.origin for table, keys in given.items() for name, each in keys.items()}


def _keys_of(table: type[Table], number: int) -> Iterator[str]:
    """Of a table, and of a number of them in a list."""
    for place in (table.NAME, *(f"{table.NAME}[{i}]" for i in range(number))):
        yield from (f"{place}.{key.name}" for key in table.KEYS)


@contextmanager
def naming(places: Places) -> Iterator[None]:
    """An error that begins with `table.key` begins with the place of that key instead."""
    try:
        yield
    except SettingsError as exc:
        key, colon, reason = str(exc).partition(": ")
        raise SettingsError(f"{places.get(key, key)}{colon}{reason}") from exc
