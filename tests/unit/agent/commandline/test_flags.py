"""Flags as Go reads them."""

import pytest

from agent.commandline.flags import (
    Flag,
    FlagError,
    Given,
    describe,
    parse_boolean,
    parse_values,
    read_arguments,
    read_environment,
)

FLAGS = (
    Flag("name", "", "a name", "A name.", str, is_required=True),
    Flag("dry-run", "false", "true or false", "Do nothing.", parse_boolean, is_boolean=True),
    Flag("count", "3", "a number", "How many.", int, environment="HOW_MANY"),
    Flag("word", "", "a word", "A word.", str.split, repeats=True),
)


def texts(*arguments: str) -> dict[str, str]:
    return {name: given.text for name, given in read_arguments(FLAGS, arguments).items()}


@pytest.mark.parametrize(
    "arguments", [["--name", "x"], ["--name=x"], ["-name", "x"], ["-name=x"], ["--name=y", "--name=x"]]
)
def test_a_value_stands_behind_a_space_or_an_equals_sign(arguments: list[str]) -> None:
    assert read_arguments(FLAGS, arguments) == {"name": Given("x", "--name")}


def test_a_value_may_hold_an_equals_sign_or_begin_with_a_dash() -> None:
    assert texts("--name=a=b", "--count", "-1") == {"name": "a=b", "count": "-1"}


@pytest.mark.parametrize(("argument", "value"), [("--dry-run", True), ("-dry-run=false", False), ("--dry-run=T", True)])
def test_a_boolean_needs_no_value(argument: str, value: bool) -> None:
    assert parse_values(FLAGS, read_arguments(FLAGS, [argument, "--name=x"]))["dry_run"] is value


def test_a_flag_that_repeats_collects_its_lines() -> None:
    given = read_arguments(FLAGS, ["--name=x", "--word=a", "--word", "b"])
    assert parse_values(FLAGS, given)["word"] == ["a", "b"]


def test_a_flag_that_is_not_given_has_its_default() -> None:
    assert parse_values(FLAGS, {"name": Given("x", "")}) == {"name": "x", "dry_run": False, "count": 3, "word": []}


def test_the_environment_names_flags_in_capitals_or_as_the_flag_says() -> None:
    environment = {"NAME": "e", "DRY_RUN": "true", "HOW_MANY": "4", "COUNT": "5"}
    assert read_environment(FLAGS, environment) == {
        "name": Given("e", "NAME"),
        "dry-run": Given("true", "DRY_RUN"),
        "count": Given("4", "HOW_MANY"),
    }


def test_an_empty_environment_variable_counts_as_absent() -> None:
    assert read_environment(FLAGS, {"NAME": ""}) == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nonsense=secret"], "--nonsense: no such flag (--help lists them)"),
        (["--", "word"], "--: no such flag (--help lists them)"),
        (["word"], "word: no such flag (--help lists them)"),
        (["---name=x"], "---name: no such flag (--help lists them)"),
        (["--name"], "--name: needs a value, expected a name"),
    ],
)
def test_what_is_not_a_flag_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(FlagError) as caught:
        read_arguments(FLAGS, arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"count": Given("x", "HOW_MANY")}, "HOW_MANY is 'x': expected a number"),
        ({"dry-run": Given("yes", "agents.toml: dry-run")}, "agents.toml: dry-run is 'yes': expected true or false"),
        ({"name": Given("", "--name")}, "--name (or NAME) is missing: expected a name"),
        ({"name": None}, "--name (or NAME) is missing: expected a name"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(given: dict[str, Given | None], message: str) -> None:
    all_given = {"name": Given("x", "--name"), **given}
    with pytest.raises(FlagError) as caught:
        parse_values(FLAGS, {name: one for name, one in all_given.items() if one is not None})
    assert str(caught.value) == message


def test_help_names_groups_defaults_and_environment() -> None:
    assert describe({"Texts": FLAGS[:1], "Others": FLAGS[1:]}).splitlines() == [
        "",
        "Texts:",
        "  --name  (required; NAME)",
        "      A name.",
        "",
        "Others:",
        "  --dry-run  (default false; DRY_RUN)",
        "      Do nothing.",
        "  --count  (default 3; HOW_MANY)",
        "      How many.",
        "  --word  (default none; WORD)",
        "      A word.",
    ]


def test_two_dashes_end_the_flags_and_nothing_may_follow() -> None:
    assert texts("--name=x", "--") == {"name": "x"}
