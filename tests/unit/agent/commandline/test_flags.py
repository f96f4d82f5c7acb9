"""Flags as Go reads them."""

import pytest

from agent.commandline.flags import Flag, FlagError, describe, parse_boolean, parse_texts, read_texts

FLAGS = (
    Flag("name", "Texts", "", "a name", "A name.", str),
    Flag("dry-run", "Numbers", "false", "true or false", "Do nothing.", parse_boolean, is_boolean=True),
    Flag("count", "Numbers", "3", "a number", "How many.", int, environment="HOW_MANY"),
)


@pytest.mark.parametrize(
    "arguments", [["--name", "x"], ["--name=x"], ["-name", "x"], ["-name=x"], ["--name=y", "--name=x"]]
)
def test_a_value_stands_behind_a_space_or_an_equals_sign(arguments: list[str]) -> None:
    assert read_texts(FLAGS, arguments, {}) == {"name": "x"}


def test_a_value_may_hold_an_equals_sign_or_begin_with_a_dash() -> None:
    assert read_texts(FLAGS, ["--name=a=b", "--count", "-1"], {}) == {"name": "a=b", "count": "-1"}


@pytest.mark.parametrize(("argument", "value"), [("--dry-run", True), ("-dry-run=false", False), ("--dry-run=T", True)])
def test_a_boolean_needs_no_value(argument: str, value: bool) -> None:
    assert parse_texts(FLAGS, read_texts(FLAGS, [argument, "--name=x"], {}))["dry-run"] is value


def test_a_flag_beats_the_environment_and_both_beat_the_default() -> None:
    environment = {"NAME": "e", "DRY_RUN": "true", "HOW_MANY": "4", "COUNT": "5"}
    assert parse_texts(FLAGS, read_texts(FLAGS, ["--name=f"], environment)) == {
        "name": "f",
        "dry-run": True,
        "count": 4,
    }


def test_an_empty_environment_variable_counts_as_absent() -> None:
    assert read_texts(FLAGS, [], {"NAME": ""}) == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nonsense=secret"], "--nonsense: no such flag (--help lists them)"),
        (["word"], "word: no such flag (--help lists them)"),
        (["---name=x"], "---name: no such flag (--help lists them)"),
        (["--name"], "--name: needs a value, expected a name"),
    ],
)
def test_what_is_not_a_flag_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(FlagError) as caught:
        read_texts(FLAGS, arguments, {})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"count": "x"}, "--count (or HOW_MANY) is 'x': expected a number"),
        ({"count": ""}, "--count (or HOW_MANY) is missing: expected a number"),
        ({"dry-run": "yes"}, "--dry-run (or DRY_RUN) is 'yes': expected true or false"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(texts: dict[str, str], message: str) -> None:
    with pytest.raises(FlagError) as caught:
        parse_texts(FLAGS, texts)
    assert str(caught.value) == message


def test_help_names_groups_defaults_and_environment() -> None:
    assert describe(FLAGS).splitlines() == [
        "",
        "Texts:",
        "  --name  (required; NAME)",
        "      A name.",
        "",
        "Numbers:",
        "  --dry-run  (default false; DRY_RUN)",
        "      Do nothing.",
        "  --count  (default 3; HOW_MANY)",
        "      How many.",
    ]
