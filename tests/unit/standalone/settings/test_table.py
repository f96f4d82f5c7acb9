"""`standalone.settings.table`: what tables have in common."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from edge.settings import SettingsError
from standalone.settings import keys
from standalone.settings.keys import Given
from standalone.settings.limits import LimitSettings
from standalone.settings.table import Table
from standalone.settings.timeouts import TimeoutSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Cheese(Table):
    holes: int
    most_holes: int

    NAME: ClassVar = "cheese"
    KEYS: ClassVar = (keys.count("holes", 5, ""), keys.count("most-holes", 9, ""))
    ORDERS: ClassVar = (("holes", "most-holes"),)


def of(table: type[Table], **given: str) -> Table:
    texts = {name.replace("_", "-"): text for name, text in given.items()}
    return table.of({name: Given((text,), f"{table.NAME}.{name}") for name, text in texts.items()})


def test_a_default_that_is_written_says_nothing() -> None:
    assert of(Cheese, most_holes="8").says("most-holes")
    assert not of(Cheese, most_holes="9").says("most-holes")


def test_what_is_to_be_less_than_another_is_so_or_only_a_default() -> None:
    of(Cheese, holes="9")
    of(Cheese, most_holes="4")
    with pytest.raises(
        SettingsError, match="^cheese.holes: is '10', but must be at most cheese.most-holes, which is '9'$"
    ):
        of(Cheese, holes="10")


@pytest.mark.parametrize(
    ("table", "given", "name", "other"),
    [
        (TimeoutSettings, {"fetch": "31s"}, "fetch", "response"),
        (TimeoutSettings, {"offer": "16s"}, "offer", "fetch"),
        (TimeoutSettings, {"offer": "10s", "response": "9s"}, "offer", "response"),
        (LimitSettings, {"connections-per-address": "10001"}, "connections-per-address", "connections"),
        (LimitSettings, {"user-exchanges": "10001"}, "user-exchanges", "exchanges"),
        (LimitSettings, {"backend-exchanges": "10001"}, "backend-exchanges", "exchanges"),
        (LimitSettings, {"queue": "10001"}, "queue", "backend-exchanges"),
        (LimitSettings, {"window-bytes": "8MiB", "memory-bytes": "4MiB"}, "window-bytes", "memory-bytes"),
    ],
)
def test_times_and_limits_that_cannot_come_to_pass_are_named(
    table: type[Table], given: dict[str, str], name: str, other: str
) -> None:
    with pytest.raises(
        SettingsError, match=f"^{table.NAME}.{name}: is '.+', but must be at most {table.NAME}.{other}, which is '.+'$"
    ):
        of(table, **given)


@pytest.mark.parametrize("table", [TimeoutSettings, LimitSettings])
def test_less_of_everything_is_said_key_by_key(table: type[Table]) -> None:
    for key in table.KEYS:
        least = "1ms" if table is TimeoutSettings else "4MiB" if "bytes" in key.name else "1"
        of(table, **{key.name: {"url-bytes": "1KiB", "head-bytes": "1KiB", "head-fields": "10"}.get(key.name, least)})


def test_a_poll_does_not_wait_for_hours() -> None:
    with pytest.raises(SettingsError, match="^timeouts.list: is '5h', but must be a time .*, at most 5m$"):
        of(TimeoutSettings, list="5h")
