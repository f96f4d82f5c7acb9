"""The rows of docs/standalone.md for a table of settings: `python -m standalone.settings.rows timeouts` prints them."""

import sys
from collections.abc import Iterator

from standalone.settings.keys import Key
from standalone.settings.load import LISTS, TABLES
from standalone.settings.table import Table

HEAD = "| key | default | must be | meaning |\n|---|---|---|---|"


def row_of(key: Key) -> str:
    """One line of the table in the documents."""
    default = f"`{key.default}`" if key.default else ""
    return f"| `{key.name}` | {default} | {key.expects} | {key.help} |"


def rows_of(table: type[Table]) -> Iterator[str]:
    """The lines of a table."""
    yield HEAD
    yield from map(row_of, table.KEYS)


if __name__ == "__main__":
    for table in (*TABLES, *LISTS):
        if table.NAME in sys.argv[1:] or not sys.argv[1:]:
            print(f"\n### [{table.NAME}]\n", *rows_of(table), sep="\n")
