"""docs/standalone.md says of every setting of the stand-alone proxy what the program knows of it."""

import re
from pathlib import Path
from typing import Final

import pytest

import standalone.settings
from agent.workers.command import WORKER
from standalone.settings.load import LISTS, TABLES
from standalone.settings.rows import rows_of
from standalone.settings.sources import read_environment
from standalone.settings.table import Table

ROOT: Final = Path(__file__).resolve().parents[2]
DOCUMENT: Final = (ROOT / "docs" / "standalone.md").read_text("utf-8")


def rows_under(name: str) -> list[str]:
    """The lines of the table below the heading of a table of settings."""
    found = re.search(rf"^### \[+{name}\]+\n(.*?)(?=^##|\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    return [line for line in found[1].splitlines() if line.startswith("|")] if found else []


@pytest.mark.parametrize("table", [*TABLES, *LISTS], ids=lambda table: table.NAME)
def test_every_key_is_documented_with_its_default_and_what_it_must_be(table: type[Table]) -> None:
    expected = "\n".join(rows_of(table)).splitlines()
    assert rows_under(table.NAME) == expected, "python -m standalone.settings.rows"


def test_no_table_is_documented_that_there_is_not() -> None:
    documented = re.findall(r"^### \[+([a-z-]+)\]+$", DOCUMENT, re.MULTILINE)
    assert documented == [table.NAME for table in (*TABLES, *LISTS)]


def test_what_an_agent_tells_its_workers_is_no_setting_of_the_proxy() -> None:
    assert not any(read_environment(TABLES, {WORKER: "1"}).values())


def test_every_module_is_in_the_map() -> None:
    modules = {path.stem for path in (ROOT / "standalone" / "settings").glob("*.py")} - {"__init__"}
    assert standalone.settings.__doc__
    assert {name for name in modules if not re.search(rf"\b{name}\b", standalone.settings.__doc__)} == set()
