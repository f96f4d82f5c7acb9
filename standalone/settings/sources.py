"""What the file of `--config` (TOML, toml.io) and the environment say, by table and key.

    [timeouts]
    response = "2m"

is `INVERTING_PROXY_TIMEOUTS_RESPONSE=2m` in the environment. What nobody knows is refused: in the file any table or
key, in the environment any name that begins so, but for those that others make.
"""

import difflib
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.settings import SettingsError
from standalone.settings.keys import Given, Key
from standalone.settings.table import Table

PREFIX: Final = "INVERTING_PROXY_"
CONFIG: Final = f"{PREFIX}CONFIG"

_OF_OTHERS: Final = re.compile(
    # The agent's, for its workers.
    rf"{PREFIX}AGENT_WORKER="
    # Kubernetes tells every container where a service is that is called inverting-proxy, or inverting-proxy-…
    # (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
    rf"|{PREFIX}(\w+_)?(SERVICE_HOST=|SERVICE_PORT(_\w+)?=|PORT=\w+://|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=)"
)

Tables = Iterable[type[Table]]
GivenTables = dict[str, dict[str, Given]]
"""By the name of the table, by the name of the key."""


@dataclass(frozen=True, slots=True)
class GivenFile:
    """What a file says: in its tables, and in its lists of tables (`[[name]]`)."""

    tables: GivenTables
    lists: dict[str, list[dict[str, Given]]]
    where: str = ""
    """What errors write in front of a table: `proxy.toml: `; empty for no file."""


def environment_name(table: str, key: str) -> str:
    """The variable of a key."""
    return f"{PREFIX}{table}_{key}".upper().replace("-", "_")


def read_environment(tables: Tables, environ: Mapping[str, str]) -> GivenTables:
    """What the environment says; an empty variable counts as absent. Raises `SettingsError`."""
    known = {environment_name(table.NAME, key.name): (table, key) for table in tables for key in table.KEYS}
    given: GivenTables = {table.NAME: {} for table, _ in known.values()}
    for name, text in environ.items():
        if name in known and text:
            table, key = known[name]
            given[table.NAME][key.name] = Given(key.split(text), name)
        elif name.startswith(PREFIX) and name not in (*known, CONFIG) and not _OF_OTHERS.match(f"{name}={text}"):
            raise SettingsError(f"{name}: no such setting{_guess(name, [*known, CONFIG], prefix=PREFIX)}")
    return given


def read_file(tables: Tables, path: Path, *, lists: Tables = ()) -> GivenFile:
    """What the file says; of `lists` it may have any number of tables. Raises `SettingsError`."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as exc:
        raise SettingsError(f"--config {path}: cannot be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingsError(f"--config {path}: not TOML: {exc}") from exc
    return read_document(tables, document, name=path.name, lists=lists)


def read_document(tables: Tables, document: Mapping[str, Any], *, name: str, lists: Tables = ()) -> GivenFile:
    """What a document says that has been read from the file of this name. Raises `SettingsError`."""
    prefix = f"{name}: "
    known = {table.NAME: table for table in tables}
    repeated = {table.NAME: table for table in lists}
    given: GivenTables = {table: {} for table in known}
    given_lists: dict[str, list[dict[str, Given]]] = {table: [] for table in repeated}
    for table, content in document.items():
        where = f"{prefix}{table}"
        if table in repeated:
            if not isinstance(content, list) or not all(isinstance(each, dict) for each in content):
                raise SettingsError(f"{where}: must be a list of tables: [[{table}]] before each")
            keys = repeated[table].KEYS
            given_lists[table] = [read_table(keys, each, where=f"{where}[{i}].") for i, each in enumerate(content)]
        elif table not in known:
            raise SettingsError(f"{where}: no such table{_guess(table, [*known, *repeated])}")
        elif not isinstance(content, dict):
            raise SettingsError(f"{where}: must be a table: [{table}], and its keys below")
        else:
            given[table] = read_table(known[table].KEYS, content, where=f"{where}.")
    return GivenFile(given, given_lists, prefix)


def read_table(keys: Iterable[Key], content: Mapping[str, Any], *, where: str) -> dict[str, Given]:
    """What a table of the file says; `where` is what errors write in front of a key. Raises `SettingsError`."""
    known = {key.name: key for key in keys}
    given = {}
    for name, value in content.items():
        if name not in known:
            raise SettingsError(f"{where}{name}: no such setting{_guess(name, known)}")
        given[name] = Given(_texts_of(value, known[name], origin=f"{where}{name}"), f"{where}{name}")
    return given


def _texts_of(value: Any, key: Key, *, origin: str) -> tuple[str, ...]:
    """A value of TOML as a text, or as texts. Raises `SettingsError` for one that no key of this kind takes."""
    values = value if isinstance(value, list) and key.is_list else [value]
    if not all(isinstance(each, str | int | float) for each in values):
        raise key.refuse(Given((repr(value),), origin))
    return tuple(str(each).lower() if isinstance(each, bool) else str(each) for each in values)


def _guess(name: str, known: Collection[str], *, prefix: str = "") -> str:
    """What was meant, in words; what all begin with makes none similar."""
    similar = difflib.get_close_matches(name.removeprefix(prefix), [each.removeprefix(prefix) for each in known], n=1)
    if similar:
        return f": did you mean {prefix}{similar[0]}?"
    return f" (there are {', '.join(known)})" if len(known) < 9 else ""
