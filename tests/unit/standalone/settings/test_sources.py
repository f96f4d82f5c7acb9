from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from edge.settings import SettingsError
from standalone.settings import keys
from standalone.settings.keys import Given
from standalone.settings.sources import environment_name, read_document, read_environment, read_file
from standalone.settings.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Cheese(Table):
    age: int
    with_holes: bool
    makers: tuple[str, ...]

    NAME: ClassVar = "cheese"
    KEYS: ClassVar = (
        keys.count("age", 1, ""),
        keys.switch("with-holes", False, ""),
        keys.choice("makers", "", ("ada", "bob"), "", is_list=True),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wine(Table):
    name: str

    NAME: ClassVar = "wines"
    KEYS: ClassVar = (keys.text("name", "", ""),)


def given(text: str, folder: Path) -> dict[str, Given]:
    (folder / "proxy.toml").write_text(text, "utf-8")
    return read_file([Cheese], folder / "proxy.toml").tables["cheese"]


def refusal(text: str, folder: Path) -> str:
    with pytest.raises(SettingsError) as refused:
        Cheese.of(given(text, folder))
    return str(refused.value)


def test_a_file_says_what_its_keys_are_and_where_they_stand(tmp_path: Path) -> None:
    assert given('[cheese]\nage = 3\nwith-holes = true\nmakers = ["ada", "bob"]\n', tmp_path) == {
        "age": Given(("3",), "proxy.toml: cheese.age"),
        "with-holes": Given(("true",), "proxy.toml: cheese.with-holes"),
        "makers": Given(("ada", "bob"), "proxy.toml: cheese.makers"),
    }


def test_a_list_of_one_needs_no_brackets(tmp_path: Path) -> None:
    assert given('[cheese]\nmakers = "ada"\n', tmp_path)["makers"].texts == ("ada",)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[cheese]\nage = 0", "proxy.toml: cheese.age: is '0', but must be a whole number from 1 to 1000000000"),
        ("[cheese]\nage = [1]", "proxy.toml: cheese.age: is '[1]', but must be a whole number from 1 to 1000000000"),
        ("[cheese]\nage = {}", "proxy.toml: cheese.age: is '{}', but must be a whole number from 1 to 1000000000"),
        ("[cheese]\nwith-holes = 1", "proxy.toml: cheese.with-holes: is '1', but must be true or false"),
        ("[cheese]\nmakers = ['eve']", "proxy.toml: cheese.makers: is 'eve', but must be some of ada, bob"),
        ("[cheese]\nwith-hole = true", "proxy.toml: cheese.with-hole: no such setting: did you mean with-holes?"),
        ("[cheese]\nx = 1", "proxy.toml: cheese.x: no such setting (there are age, with-holes, makers)"),
        ("[chese]", "proxy.toml: chese: no such table: did you mean cheese?"),
        ("age = 1", "proxy.toml: age: no such table (there are cheese)"),
        ("cheese = 1", "proxy.toml: cheese: must be a table: [cheese], and its keys below"),
        ("[[cheese]]", "proxy.toml: cheese: must be a table: [cheese], and its keys below"),
    ],
)
def test_what_cannot_be_used_in_a_file_is_named_by_its_path(text: str, error: str, tmp_path: Path) -> None:
    assert refusal(text, tmp_path) == error


def test_a_file_that_is_not_there_or_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        read_file([Cheese], tmp_path / "none.toml")
    assert "not TOML" in refusal("[cheese", tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="not TOML"):
        read_file([Cheese], tmp_path / "binary.toml")


def test_a_list_of_tables_has_a_number_in_the_path() -> None:
    def read(document: dict[str, object]) -> list[dict[str, Given]]:
        return read_document([Cheese], document, name="proxy.toml", lists=[Wine]).lists["wines"]

    first, second = read({"wines": [{"name": "a"}, {"name": "b"}]})
    assert (first["name"].texts, second["name"].origin) == (("a",), "proxy.toml: wines[1].name")
    assert read({}) == []
    with pytest.raises(SettingsError, match=r"^proxy.toml: wines\[1\].colour: no such setting"):
        read({"wines": [{}, {"colour": "red"}]})
    with pytest.raises(SettingsError, match=r"^proxy.toml: wines: must be a list of tables: \[\[wines\]\] before each"):
        read({"wines": {"name": "a"}})


def test_the_environment_has_a_name_for_each_key() -> None:
    environ = {
        "INVERTING_PROXY_CHEESE_WITH_HOLES": "true",
        "INVERTING_PROXY_CHEESE_MAKERS": "ada,bob",
        "INVERTING_PROXY_CHEESE_AGE": "",
        "PATH": "/bin",
    }

    assert read_environment([Cheese], environ)["cheese"] == {
        "with-holes": Given(("true",), "INVERTING_PROXY_CHEESE_WITH_HOLES"),
        "makers": Given(("ada", "bob"), "INVERTING_PROXY_CHEESE_MAKERS"),
    }


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        (environment_name("cheese", "ages"), "CHEESE_AGE"),
        ("INVERTING_PROXY_CHESE_AGE", "CHEESE_AGE"),
        ("INVERTING_PROXY_CONFG", "CONFIG"),
    ],
)
def test_an_unknown_name_is_refused_with_what_was_meant(name: str, meant: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: no such setting: did you mean INVERTING_PROXY_{meant}[?]$"):
        read_environment([Cheese], {name: "1"})


@pytest.mark.parametrize("name", ["", "PORT", "CHEESE_", "AGENT_WORKERS"])
def test_an_unknown_name_that_is_like_none_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^INVERTING_PROXY_{name}: no such setting"):
        read_environment([Cheese], {f"INVERTING_PROXY_{name}": "8080"})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("INVERTING_PROXY_CONFIG", "proxy.toml"),
        ("INVERTING_PROXY_AGENT_WORKER", "1"),
        ("INVERTING_PROXY_PORT", "tcp://10.0.0.1:80"),
        ("INVERTING_PROXY_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("INVERTING_PROXY_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("INVERTING_PROXY_SERVICE_HOST", "10.0.0.1"),
        ("INVERTING_PROXY_SERVICE_PORT", "80"),
        ("INVERTING_PROXY_CHEESE_SERVICE_PORT_HTTP", "80"),
        ("INVERTING", "1"),
    ],
)
def test_names_that_others_make_are_left_alone(name: str, text: str) -> None:
    assert read_environment([Cheese], {name: text}) == {"cheese": {}}
