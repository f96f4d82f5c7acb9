"""One setting: its name, its default and what it must be; and makers for the common kinds.

Defaults are written as in a file, and go the same way as what is given: through `parse`, which raises `ValueError` for
what the key does not take. An empty text stands for nothing where a key is optional.
"""

import ipaddress
import os.path
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from edge.settings import SettingsError
from edge.units import TIME, format_size, format_time, parse_size, parse_time

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LARGEST: Final = 1 << 50
_LONGEST: Final = timedelta(hours=10_000)
"""Added to a time of today it is still one."""


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody has written for a key: one text, or for a list any number; and what he has to change."""

    texts: tuple[str, ...]
    origin: str
    """What errors begin with: `proxy.toml: limits.body-bytes`, `INVERTING_PROXY_LIMITS_BODY_BYTES`, `--port`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One setting of a table."""

    name: str
    default: str
    """As it would stand in a file; for a list with commas between; empty for nothing."""
    expects: str
    """What errors say after "must be"."""
    help: str
    """One sentence for the documents, without the default."""
    parse: Callable[[str], object]
    """Makes a value of a text, in a list of each. Raises `ValueError`."""
    is_list: bool = False
    """Takes any number of values: a list in the file, with commas in the environment. The value is a tuple."""
    is_secret: bool = False
    """What is given may hold a secret: no error repeats it."""

    @property
    def field(self) -> str:
        """The name of the value in the record of the table."""
        return self.name.replace("-", "_")

    def value_of(self, given: Given | None) -> object:
        """What is given, or the default, as a value. Raises `SettingsError`."""
        texts = given.texts if given else self.split(self.default) if self.is_list else (self.default,)
        try:
            values = tuple(self.parse(text) for text in texts)
        except ValueError as exc:
            assert given, f"{self.name}: its own default is none"
            raise self.refuse(given) from exc
        return values if self.is_list else values[0]

    def refuse(self, given: Given) -> SettingsError:
        """The error that says what is given, and what was expected."""
        shown = "cannot be used" if self.is_secret else f"is {', '.join(given.texts)[:80]!r}"
        return SettingsError(f"{given.origin}: {shown}, but must be {self.expects}")

    def split(self, text: str) -> tuple[str, ...]:
        """A text of the environment as the texts of the key."""
        return tuple(word.strip() for word in text.split(",") if word.strip()) if self.is_list else (text,)


def text(name: str, default: str, help: str, *, expects: str = "a text", is_secret: bool = False) -> Key:
    """Any text; the value is a `str`."""
    return Key(name=name, default=default, expects=expects, help=help, parse=str, is_secret=is_secret)


def time(name: str, default: str, help: str, *, most: timedelta = _LONGEST) -> Key:
    """The value is a `timedelta` above zero, or None with an empty default."""

    def parse(given: str) -> timedelta:
        if (length := parse_time(given)) > most:
            raise ValueError("too long")
        return length

    expects = f"{TIME}, at most {format_time(most)}"
    return Key(name=name, default=default, expects=expects, help=help, parse=parse if default else _optional(parse))


def size(name: str, default: int, help: str, *, least: int = 1, most: int = _LARGEST) -> Key:
    """The value is a number of bytes within bounds, both included."""
    return Key(
        name=name,
        default=format_size(default),
        expects=f"a size from {format_size(least)} to {format_size(most)}, like 1048576, 64KiB or 32MB",
        help=help,
        parse=_bounded(parse_size, least, most),
    )


def count(name: str, default: int, help: str, *, least: int = 1, most: int = 10**9) -> Key:
    """The value is a whole number within bounds, both included."""

    def parse(given: str) -> int:
        if not (given.isascii() and given.isdigit() and len(given) < 20):
            raise ValueError("not a whole number")
        return int(given)

    expects = f"a whole number from {least} to {most}"
    return Key(name=name, default=str(default), expects=expects, help=help, parse=_bounded(parse, least, most))


def switch(name: str, default: bool, help: str) -> Key:
    """The value is a `bool`."""
    words = {"true": True, "false": False}
    default_text = "true" if default else "false"
    return Key(name=name, default=default_text, expects="true or false", help=help, parse=_one_of(words))


def choice(name: str, default: str, choices: Iterable[str], help: str, *, is_list: bool = False) -> Key:
    """The value is one of some words; with `is_list` a tuple of them."""
    words = {word: word for word in choices}
    expects = f"{'some' if is_list else 'one'} of {', '.join(words)}"
    return Key(name=name, default=default, expects=expects, help=help, parse=_one_of(words), is_list=is_list)


def file(name: str, help: str, *, is_list: bool = False) -> Key:
    """The value is the `Path` of a file that there is, or None for an empty text."""
    parse = _optional(_parse_path(os.path.isfile))
    return Key(
        name=name, default="", expects="a file that exists and can be reached", help=help, parse=parse, is_list=is_list
    )


def folder(name: str, help: str) -> Key:
    """The value is the `Path` of a folder that there is, or None for an empty text."""
    parse = _optional(_parse_path(os.path.isdir))
    return Key(name=name, default="", expects="a folder that exists and can be reached", help=help, parse=parse)


def _parse_path(is_there: Callable[[str], bool]) -> Callable[[str], Path]:
    def parse(given: str) -> Path:
        if not is_there(given):
            raise ValueError("not there")
        return Path(given)

    return parse


def _optional(parse: Callable[[str], object]) -> Callable[[str], object]:
    return lambda given: parse(given) if given else None


def _bounded(parse: Callable[[str], int], least: int, most: int) -> Callable[[str], int]:
    def parse_within(given: str) -> int:
        if not least <= (number := parse(given)) <= most:
            raise ValueError("out of range")
        return number

    return parse_within


def _one_of(words: Mapping[str, object]) -> Callable[[str], object]:
    def parse(given: str) -> object:
        if given not in words:
            raise ValueError("none of these words")
        return words[given]

    return parse
