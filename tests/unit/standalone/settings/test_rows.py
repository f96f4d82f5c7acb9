from standalone.settings import keys
from standalone.settings.log import LogSettings
from standalone.settings.rows import row_of, rows_of


def test_a_row_has_what_an_operator_looks_for() -> None:
    assert row_of(keys.time("idle", "30s", "Silence.")) == (
        "| `idle` | `30s` | a time above zero, like 30s, 500ms or 2m | Silence. |"
    )
    assert row_of(keys.text("name", "", "A name.")) == "| `name` |  | a text | A name. |"


def test_a_table_has_a_row_for_each_key() -> None:
    assert len(list(rows_of(LogSettings))) == 1 + len(LogSettings.KEYS)
