from datetime import timedelta
from pathlib import Path

import pytest

from edge.settings import SettingsError
from standalone.settings import keys
from standalone.settings.keys import Given, Key


def value(key: Key, *texts: str) -> object:
    return key.value_of(Given(texts, "proxy.toml: cheese.key") if texts else None)


def refusal(key: Key, *texts: str) -> str:
    with pytest.raises(SettingsError) as refused:
        value(key, *texts)
    return str(refused.value)


COLOURS = keys.choice("colours", "red,blue", ("red", "green", "blue"), "", is_list=True)


def test_what_is_not_given_has_its_default() -> None:
    assert value(keys.time("key", "30s", "")) == timedelta(seconds=30)
    assert value(keys.time("key", "", "")) is None
    assert value(keys.size("key", 65536, "")) == 65536
    assert value(keys.count("key", 7, "")) == 7
    assert value(keys.switch("key", True, "")) is True
    assert value(keys.choice("key", "red", ("red", "green"), "")) == "red"
    assert value(keys.text("key", "", "")) == ""
    assert value(keys.file("key", "")) is None
    assert value(COLOURS) == ("red", "blue")


def test_what_is_given_is_read_by_its_kind(tmp_path: Path) -> None:
    (tmp_path / "key.pem").touch()

    assert value(keys.time("key", "30s", ""), "2m") == timedelta(minutes=2)
    assert value(keys.size("key", 1, ""), "32MB") == 32_000_000
    assert value(keys.count("key", 7, ""), "8") == 8
    assert value(keys.switch("key", True, ""), "false") is False
    assert value(keys.file("key", ""), str(tmp_path / "key.pem")) == tmp_path / "key.pem"
    assert value(keys.folder("key", ""), str(tmp_path)) == tmp_path
    assert value(COLOURS, "green") == ("green",)


@pytest.mark.parametrize(
    ("key", "text", "expects"),
    [
        (keys.time("key", "30s", ""), "30", "a time above zero, like 30s, 500ms or 2m, at most 10000h"),
        (
            keys.time("key", "", "", most=timedelta(minutes=1)),
            "61s",
            "a time above zero, like 30s, 500ms or 2m, at most 1m",
        ),
        (keys.size("key", 1, ""), "0", "a size from 1 to 1048576GiB, like 1048576, 64KiB or 32MB"),
        (keys.size("key", 5, "", least=4), "3", "a size from 4 to 1048576GiB, like 1048576, 64KiB or 32MB"),
        (keys.size("key", 9, "", least=2, most=9), "10", "a size from 2 to 9, like 1048576, 64KiB or 32MB"),
        (keys.count("key", 1, ""), "0", "a whole number from 1 to 1000000000"),
        (keys.count("key", 1, "", most=5), "6", "a whole number from 1 to 5"),
        (keys.count("key", 1, ""), "1.0", "a whole number from 1 to 1000000000"),
        (keys.switch("key", True, ""), "yes", "true or false"),
        (keys.choice("key", "a", ("a", "b"), ""), "c", "one of a, b"),
        (keys.file("key", ""), "/no/such/file", "a file that exists and can be reached"),
        (keys.folder("key", ""), "/etc/hostname", "a folder that exists and can be reached"),
        (COLOURS, "pink", "some of red, green, blue"),
    ],
)
def test_what_a_key_does_not_take_is_shown_with_what_it_must_be(key: Key, text: str, expects: str) -> None:
    assert refusal(key, text) == f"proxy.toml: cheese.key: is {text!r}, but must be {expects}"


def test_a_path_that_the_system_does_not_take_is_no_file_either() -> None:
    assert refusal(keys.file("key", ""), "x" * 300).endswith("but must be a file that exists and can be reached")


def test_a_secret_is_not_shown() -> None:
    key = Key(name="key", default="1", expects="a number", help="", parse=int, is_secret=True)

    assert refusal(key, "hunter2") == "proxy.toml: cheese.key: cannot be used, but must be a number"


def test_what_is_long_is_shown_in_part() -> None:
    assert len(refusal(keys.switch("key", True, ""), "x" * 10_000)) < 200


def test_a_list_has_commas_in_the_environment() -> None:
    assert COLOURS.split("red, blue,,") == ("red", "blue")
    assert keys.text("key", "", "").split("red, blue") == ("red, blue",)
