from standalone.settings import keys
from standalone.settings.log import LogSettings
from standalone.settings.rows import row_of, rows_of, with_rows


def test_a_row_has_what_an_operator_looks_for() -> None:
    assert row_of(keys.time("idle", "30s", "Silence.")) == (
        "| `idle` | `30s` | a time above zero, like 30s, 500ms or 2m, at most 10000h | Silence. |"
    )
    assert row_of(keys.text("name", "", "A name.")) == "| `name` | | a text | A name. |"


def test_a_table_has_a_row_for_each_key() -> None:
    assert len(list(rows_of(LogSettings))) == 2 + len(LogSettings.KEYS)


def test_rows_are_put_below_their_heading_and_nothing_else_is_changed() -> None:
    rows = "\n".join(rows_of(LogSettings))
    text = "# Title\n\n| other |\n\n### [log]\n\nSome words.\n\n{}\n\nMore.\n\n### [users]\n\n| kept |\n"

    assert with_rows(text.format("| old |\n| rows |"), (LogSettings,)) == text.format(rows)
    assert with_rows(text.format(rows), (LogSettings,)) == text.format(rows)
