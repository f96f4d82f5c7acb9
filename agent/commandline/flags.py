"""Command-line flags as Go's `flag` package reads them, each with an environment name and a key in a file.

`--flag value`, `--flag=value`, with one dash or two; a boolean takes its value only behind `=`. An empty environment
variable counts as absent. Arguments, environment and file are given, nothing is read here.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final


class FlagError(ValueError):
    """A setting that cannot be used: one line that names it and says what was expected."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag: how its text becomes a value, and what `--help` says. `parse` raises `ValueError`."""

    name: str
    default: str
    expects: str
    help: str
    parse: Callable[[str], object]
    is_boolean: bool = False
    repeats: bool = False
    """May be given several times; the text then has a line for each."""
    is_required: bool = False
    is_secret: bool = False
    """What is given may hold a secret: no error repeats it."""
    environment: str = ""
    """The environment name where it is not the flag's own."""

    @property
    def environment_name(self) -> str:
        return self.environment or self.name.upper().replace("-", "_")

    @property
    def field(self) -> str:
        """The name of the value among the settings."""
        return self.name.replace("-", "_")


@dataclass(frozen=True, slots=True)
class Given:
    """The text of a flag, and what somebody has to change who wants another."""

    text: str
    origin: str


_USER: Final = re.compile("//[^/]*@")
"""User and password of a URL, which must not get into a log."""

_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def parse_boolean(text: str) -> bool:
    """A boolean as Go's `strconv.ParseBool` reads it. Raises `ValueError`."""
    if text not in _TRUE | _FALSE:
        raise ValueError("not a boolean")
    return text in _TRUE


def read_environment(flags: Sequence[Flag], environment: Mapping[str, str]) -> dict[str, Given]:
    """What the environment says of each flag, by the flag's name."""
    return {
        flag.name: Given(text, flag.environment_name)
        for flag in flags
        if (text := environment.get(flag.environment_name))
    }


def read_arguments(flags: Sequence[Flag], arguments: Sequence[str]) -> dict[str, Given]:
    """What the command line says of each flag, by the flag's name. Raises `FlagError` for what is not a flag."""
    given: dict[str, Given] = {}
    known = {flag.name: flag for flag in flags}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--" and not rest:
            break
        name, equals, text = argument.removeprefix("-").removeprefix("-").partition("=")
        if not argument.startswith("-") or name not in known:
            raise FlagError(f"{argument.partition('=')[0]}: no such flag (--help lists them)")
        if not equals and known[name].is_boolean:
            text = "true"
        elif not equals:
            if not rest:
                raise FlagError(f"--{name}: needs a value, expected {known[name].expects}")
            text = rest.pop(0)
        if known[name].repeats and name in given:
            text = f"{given[name].text}\n{text}"
        given[name] = Given(text, f"--{name}")
    return given


def parse_values(flags: Sequence[Flag], given: Mapping[str, Given]) -> dict[str, object]:
    """The value of each flag, given or default, by its field. Raises `FlagError` for what its flag does not take."""
    return {flag.field: _parse(flag, given.get(flag.name)) for flag in flags}


def _parse(flag: Flag, given: Given | None) -> object:
    if flag.is_required and (given is None or not given.text):
        raise FlagError(f"--{flag.name} (or {flag.environment_name}) is missing: expected {flag.expects}")
    if given is None:
        return flag.parse(flag.default)
    try:
        return flag.parse(given.text)
    except ValueError as exc:
        said = "is not usable" if flag.is_secret else f"is {_USER.sub('//…@', given.text)!r}"
        raise FlagError(f"{given.origin} {said}: expected {flag.expects}") from exc


def describe(groups: Mapping[str, Sequence[Flag]]) -> str:
    """All flags in their groups, with defaults and environment names."""
    lines: list[str] = []
    for group, flags in groups.items():
        lines += ["", f"{group}:"]
        for flag in flags:
            default = "required" if flag.is_required else f"default {flag.default or 'none'}"
            lines += [f"  --{flag.name}  ({default}; {flag.environment_name})", f"      {flag.help}"]
    return "\n".join(lines)
