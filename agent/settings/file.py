"""The file of `--config`: TOML (toml.io), with the flags' names as keys.

    proxy = "https://agent-dot-my-project.uc.r.appspot.com"     # for every backend below
    log-format = "json"

    [[backends]]
    backend = "notebook"
    host = "localhost:8888"
    shim-path = "websocket-shim"
    shim-websockets = true

    [[backends]]
    backend = "site"
    host = "unix:///run/site.sock"
    request-header = ["X-Site: internal"]
    path-map = { "/api" = "http://localhost:9000" }

Booleans and numbers may be written as such; a flag that may be given several times takes a list, `path-map` a table.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.commandline.flags import Flag, FlagError, Given

_BACKENDS: Final = "backends"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What the file says: of all backends, and of each. Without any of its own, what it says of all describes one."""

    common: Mapping[str, Given]
    backends: Sequence[Mapping[str, Given]]


def read_config(path: Path, *, process: Sequence[Flag], backend: Sequence[Flag]) -> ConfigFile:
    """The file at `path`; the flags in `process` concern the whole agent. Raises `FlagError`."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as exc:
        raise FlagError(f"--config {path}: cannot be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise FlagError(f"--config {path}: not TOML: {exc}") from exc
    tables = document.pop(_BACKENDS, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise FlagError(f"{path}: {_BACKENDS} is no list of tables: expected a [[{_BACKENDS}]] for each backend")
    common = _read_table(document, [*process, *backend], where=f"{path}: ")
    return ConfigFile(
        common, [_read_table(table, backend, where=f"{path}: {_BACKENDS}[{i}].") for i, table in enumerate(tables)]
    )


def _read_table(table: Mapping[str, Any], flags: Sequence[Flag], *, where: str) -> dict[str, Given]:
    known = {flag.name: flag for flag in flags}
    given = {}
    for key, value in table.items():
        if key not in known:
            raise FlagError(f"{where}{key}: no such setting here (--help lists them)")
        text = _text_of(value, repeats=known[key].repeats)
        if text is None:
            raise FlagError(f"{where}{key} is {value!r}: expected {known[key].expects}")
        given[key] = Given(text, f"{where}{key}")
    return given


def _text_of(value: Any, *, repeats: bool) -> str | None:
    """A value as the command line would give it; None for one that no flag can take."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    if repeats and isinstance(value, dict) and all(isinstance(text, str) for text in value.values()):
        value = [f"{name}={text}" for name, text in value.items()]
    if repeats and isinstance(value, list) and all(isinstance(text, str) for text in value):
        return "\n".join(value)
    return None
