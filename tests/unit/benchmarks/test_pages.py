import pytest

from benchmarks.pages import END, Page, rows_under, table


def test_what_is_kept_stands_between_the_marks() -> None:
    assert Page(f"a <begin>\n\nold\n\n{END} z", "<begin>").kept == "old"


def test_keeping_changes_nothing_outside_the_marks() -> None:
    assert Page(f"a <begin> old {END} z", "<begin>").keeping("new") == f"a <begin>\n\nnew\n\n{END} z"


def test_what_was_written_is_what_is_kept() -> None:
    page = Page(f"<begin>{END}", "<begin>")
    assert Page(page.keeping("new"), "<begin>").kept == "new"


@pytest.mark.parametrize("text", ["", "<begin>", END])
def test_a_page_without_the_marks_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the page lacks the lines"):
        Page(text, "<begin>").keeping("new")


def test_a_table_has_a_rule_below_its_header() -> None:
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_the_rows_of_a_table_are_found_under_its_title_alone() -> None:
    text = "\n\n".join(f"### {title}\n\n{table(('a', 'b'), [(title, '2')])}" for title in ("one", "two"))
    assert rows_under(text, "one") == [["one", "2"]]
    assert rows_under(text, "two") == [["two", "2"]]
    assert rows_under(text, "three") == []
