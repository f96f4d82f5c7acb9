"""The command line: what only it can say, and short names for some keys of the file."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.settings import SettingsError
from standalone.settings.addresses import bracketed
from standalone.settings.keys import Given
from standalone.settings.sources import GivenTables

LOOPBACK: Final = "127.0.0.1"
PORT: Final = "8080"

_KEYS: Final = {
    "--response-timeout": ("timeouts", "response"),
    "--idle-timeout": ("timeouts", "idle"),
    "--max-body-bytes": ("limits", "body-bytes"),
    "--graceful-shutdown-timeout": ("timeouts", "shutdown"),
}
"""The table and the key of a flag."""

_MORE: Final = """\
Each key of the file can also be set in the environment: INVERTING_PROXY_TIMEOUTS_RESPONSE=2m is "response" in
[timeouts]. A flag wins over the environment, the environment over the file. docs/standalone.md has all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the command line says."""

    config: Path | None
    """The file of settings; None where the environment may name one."""
    is_open: bool
    only_checks: bool
    given: GivenTables


def read_flags(arguments: Sequence[str]) -> Flags:
    """Raises `SettingsError`, and `SystemExit` for `--help` and for what is not a flag."""
    flags = vars(_parser().parse_args(arguments))
    given: GivenTables = {}
    for flag, (table, key) in _KEYS.items():
        if flags[flag] is not None:
            given.setdefault(table, {})[key] = Given((flags[flag],), flag)
    if flags["--host"] is not None or flags["--port"] is not None:
        given["listen"] = {"users": _address(flags["--host"] or LOOPBACK, flags["--port"] or PORT)}
    return Flags(
        config=Path(flags["--config"]) if flags["--config"] else None,
        is_open=flags["--open"],
        only_checks=flags["--check-config"],
        given=given,
    )


def _address(host: str, port: str) -> Given:
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise SettingsError(f"--port: is {port[:80]!r}, but must be a number from 0 to 65535")
    return Given((f"{bracketed(host)}:{port}",), "--host")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m standalone", description="The stand-alone inverting proxy.", epilog=_MORE, allow_abbrev=False
    )

    def flag(name: str, metavar: str, text: str) -> None:
        parser.add_argument(name, dest=name, metavar=metavar, help=text)

    def switch(name: str, text: str) -> None:
        parser.add_argument(name, dest=name, action="store_true", help=text)

    flag("--config", "FILE", "settings (TOML); or INVERTING_PROXY_CONFIG")
    switch("--check-config", "say what these settings mean, and end: 0, or as the start would where it could not serve")
    switch("--open", "no passwords: everybody is a user, everybody an agent")
    flag("--host", "ADDRESS", f"where to listen; {LOOPBACK} is this machine alone (default: {LOOPBACK})")
    flag("--port", "NUMBER", f"0 picks a free one, and prints it (default: {PORT})")
    flag("--response-timeout", "TIME", "from a request to the first byte of its answer (default: 30s)")
    flag("--idle-timeout", "TIME", "the longest silence within a body (default: 30s)")
    flag("--max-body-bytes", "SIZE", "the longest request body (default: 100GiB)")
    flag("--graceful-shutdown-timeout", "TIME", "for requests under way, when stopped (default: 8s)")
    return parser
