"""`standalone.settings.places`: what errors about several settings begin with."""

from pathlib import Path

import pytest

from edge.settings import SettingsError
from standalone.settings.load import LISTS, TABLES, load_settings
from standalone.settings.places import naming, places_of
from standalone.settings.sources import GivenFile, read_document, read_environment


def places(document: dict[str, object], **environ: str) -> dict[str, str]:
    file = read_document(TABLES, document, name="proxy.toml", lists=LISTS) if document else GivenFile({}, {})
    given = read_environment(TABLES, {f"INVERTING_PROXY_{name}": text for name, text in environ.items()})
    tables = {name: file.tables.get(name, {}) | given.get(name, {}) for name in given}
    return places_of((*TABLES, *LISTS), file, tables)


def test_a_setting_stands_where_it_was_given_last_or_else_in_the_file() -> None:
    found = places({"log": {"format": "text", "level": "info"}}, LOG_FORMAT="json")

    assert found["log.format"] == "INVERTING_PROXY_LOG_FORMAT"
    assert found["log.level"] == "proxy.toml: log.level"
    assert found["tls.key"] == "proxy.toml: tls.key"


def test_without_a_file_what_is_missing_has_its_name_alone() -> None:
    assert places({})["tls.key"] == "tls.key"


def test_each_of_a_list_has_its_number() -> None:
    found = places({"backends": [{}, {}]})

    assert found["backends[1].id"] == "proxy.toml: backends[1].id"
    assert "backends[2].id" not in found


def test_an_error_about_anything_else_is_left_as_it_is() -> None:
    for text in ("proxy.toml: log.format: is 'xml'", "--open: contradicts", "without a place"):
        with pytest.raises(SettingsError) as caught, naming({"log.format": "proxy.toml: log.format"}):
            raise SettingsError(text)
        assert str(caught.value) == text


@pytest.mark.parametrize(
    ("text", "environ", "said"),
    [
        (
            '[timeouts]\noffer = "16s"\n',
            {},
            "proxy.toml: timeouts.offer: is '16s', but must be at most timeouts.fetch, which is '15s'",
        ),
        (
            '[timeouts]\nfetch = "2s"\n',
            {"TIMEOUTS_OFFER": "3s"},
            "INVERTING_PROXY_TIMEOUTS_OFFER: is '3s', but must be at most timeouts.fetch, which is '2s'",
        ),
        (
            '[listen]\nusers = ["127.0.0.1:1", "127.0.0.1:1"]\n',
            {},
            "proxy.toml: listen.users: 127.0.0.1:1 takes the place of 127.0.0.1:1 in listen.users: it must be",
        ),
        ('[listen]\nusers = "https://a:1"\n', {}, "proxy.toml: tls.certificate: is missing, but must be a file for"),
        ('[users]\nheader = "X-User"\n', {}, 'proxy.toml: users.header: goes with users.sign-in = "header" alone'),
    ],
)
def test_an_error_about_several_settings_begins_with_the_place_of_the_one_to_change(
    text: str, environ: dict[str, str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "proxy.toml").write_text(text)
    variables = {f"INVERTING_PROXY_{name}": value for name, value in environ.items()}

    with pytest.raises(SettingsError) as caught:
        load_settings(["--open", f"--config={tmp_path}/proxy.toml"], variables)

    assert str(caught.value).startswith(said)
