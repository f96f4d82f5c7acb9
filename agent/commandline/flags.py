"""Command-line flags as Go's `flag` package reads them, each with an environment name.

`--flag value`, `--flag=value`, with one dash or two; a boolean takes its value only behind `=`. A flag beats the
environment, an empty environment variable counts as absent. Arguments and environment are given, nothing is read here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final


class FlagError(ValueError):
    """A flag that cannot be used: one line that names it and says what was expected."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag: how its text becomes a value, and what `--help` says. `parse` raises `ValueError`."""

    name: str
    group: str
    default: str
    expects: str
    help: str
    parse: Callable[[str], object]
    is_boolean: bool = False
    environment: str = ""
    """The environment name where it is not the flag's own."""

    @property
    def environment_name(self) -> str:
        return self.environment or self.name.upper().replace("-", "_")


_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def parse_boolean(text: str) -> bool:
    """A boolean as Go's `strconv.ParseBool` reads it. Raises `ValueError`."""
    if text not in _TRUE | _FALSE:
        raise ValueError("not a boolean")
    return text in _TRUE


def read_texts(flags: Sequence[Flag], arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """The text of each flag that is given, by name. Raises `FlagError` for what is not a flag."""
    texts = {flag.name: value for flag in flags if (value := environment.get(flag.environment_name))}
    known = {flag.name: flag for flag in flags}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name, equals, text = argument.removeprefix("-").removeprefix("-").partition("=")
        if not argument.startswith("-") or name not in known:
            raise FlagError(f"{argument.partition('=')[0]}: no such flag (--help lists them)")
        if not equals and known[name].is_boolean:
            text = "true"
        elif not equals:
            if not rest:
                raise FlagError(f"--{name}: needs a value, expected {known[name].expects}")
            text = rest.pop(0)
        texts[name] = text
    return texts


def parse_texts(flags: Sequence[Flag], texts: Mapping[str, str]) -> dict[str, object]:
    """The value of each flag, given or default. Raises `FlagError` for a text that its flag does not take."""
    return {flag.name: _parse(flag, texts.get(flag.name, flag.default)) for flag in flags}


def _parse(flag: Flag, text: str) -> object:
    try:
        return flag.parse(text)
    except ValueError as exc:
        given = "is missing" if not text else f"is {text!r}"
        raise FlagError(f"--{flag.name} (or {flag.environment_name}) {given}: expected {flag.expects}") from exc


def describe(flags: Sequence[Flag]) -> str:
    """All flags in their groups, with defaults and environment names."""
    lines: list[str] = []
    for group in dict.fromkeys(flag.group for flag in flags):
        lines += ["", f"{group}:"]
        for flag in (flag for flag in flags if flag.group == group):
            default = f"default {flag.default}" if flag.default else "required"
            lines += [f"  --{flag.name}  ({default}; {flag.environment_name})", f"      {flag.help}"]
    return "\n".join(lines)
