"""The rows of docs/standalone.md for the tables of settings: `python -m standalone.settings.rows` brings them up to
date there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from standalone.settings.keys import Key
from standalone.settings.load import LISTS, TABLES
from standalone.settings.table import Table

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "standalone.md"
HEAD: Final = ("| key | default | must be | meaning |", "|---|---|---|---|")


def row_of(key: Key) -> str:
    """One line of the table in the documents."""
    default = f" `{key.default}`" if key.default else ""
    return f"| `{key.name}` |{default} | {key.expects} | {key.help} |"


def rows_of(table: type[Table]) -> Iterator[str]:
    """The lines of a table."""
    yield from HEAD
    yield from map(row_of, table.KEYS)


def with_rows(document: str, tables: tuple[type[Table], ...]) -> str:
    """The document with the rows of these tables below their headings, `### [name]`."""
    for table in tables:
        rows = "\n".join(rows_of(table))
        old = re.compile(rf"^(### \[+{table.NAME}\]+\n(?:(?!#|\|).*\n)*)(?:\|.*\n)+", re.MULTILINE)
        document = old.sub(lambda match, rows=rows: f"{match[1]}{rows}\n", document)  # type: ignore[misc]
    return document


if __name__ == "__main__":
    DOCUMENT.write_text(with_rows(DOCUMENT.read_text("utf-8"), (*TABLES, *LISTS)), "utf-8")
