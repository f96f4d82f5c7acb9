"""[[backends]]: registrations in the file of settings."""

from pathlib import Path

import pytest

from api_service.fields import FIELDS
from broker.model import Options, Sharing
from edge.settings import SettingsError
from standalone.settings.backends import BackendSettings
from standalone.settings.load import load_settings
from tests.factories import a_backend

SMALLEST = '[[backends]]\nid = "notebook"\nend-user = "allUsers"\nbackend-user = "agent@example.com"\n'


def load(tmp_path: Path, text: str) -> tuple[BackendSettings, ...]:
    path = tmp_path / "proxy.toml"
    path.write_text(text)
    return load_settings(["--open", f"--config={path}"], {}).backends


def problem(tmp_path: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    return str(caught.value)


def test_three_keys_make_a_backend(tmp_path: Path) -> None:
    [found] = load(tmp_path, SMALLEST)

    assert found.backend() == a_backend()


def test_a_backend_may_have_all_that_the_api_knows(tmp_path: Path) -> None:
    more = """path-prefixes = ["/a", "/b"]
hosts = ["App.example.org", "*.example.net"]
agents = "sticky"
max-exchanges = 50
max-queue = 10
shim-path = "/websocket-shim/"
"""
    [found] = load(tmp_path, SMALLEST.replace("allUsers", "Ada@Example.com") + more)

    assert found.backend() == a_backend(
        end_user="ada@example.com",
        path_prefixes=("/a", "/b"),
        hosts=("app.example.org", "*.example.net"),
        options=Options(agents=Sharing.STICKY, max_exchanges=50, max_queue=10, shim_path="websocket-shim"),
    )


def test_there_is_a_key_for_every_field_of_the_api() -> None:
    names = [key.name.replace("-", "") for key in BackendSettings.KEYS]

    assert sorted(names) == sorted(name.lower() for name in FIELDS)


def test_several_backends_stand_in_their_order(tmp_path: Path) -> None:
    assert [each.id for each in load(tmp_path, SMALLEST + SMALLEST.replace("notebook", "a"))] == ["notebook", "a"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[backends]]\n", "proxy.toml: backends[0].id: is missing"),
        ('[[backends]]\nid = "x"\n', "proxy.toml: backends[0].end-user: is missing at 'x'"),
        (SMALLEST + "[[backends]]\n", "proxy.toml: backends[1].id: is missing"),
        (SMALLEST + SMALLEST, "proxy.toml: backends[1].id: is 'notebook', but that is backends[0]"),
        (SMALLEST + "host = 1\n", "proxy.toml: backends[0].host: no such setting: did you mean hosts?"),
        (SMALLEST + 'hosts = ["a:80"]\n', "proxy.toml: backends[0].hosts: is 'a:80', but must be a list of up to 100"),
        (SMALLEST + 'hosts = [""]\n', "proxy.toml: backends[0].hosts: is '', but must be a list of up to 100 names of"),
        (SMALLEST + 'path-prefixes = [""]\n', "proxy.toml: backends[0].path-prefixes: is '', but must be a list of up"),
        (
            SMALLEST + f"hosts = {['a'] * 101}\n",
            "proxy.toml: backends[0].hosts: has 101 at 'notebook', but must be a list of up to 100",
        ),
        (
            SMALLEST + "path-prefixes = []\n",
            "proxy.toml: backends[0].path-prefixes: has 0 at 'notebook', but must be a",
        ),
        (
            SMALLEST + f"path-prefixes = {['/'] * 101}\n",
            "proxy.toml: backends[0].path-prefixes: has 101 at 'notebook', but must be a",
        ),
        (SMALLEST + "agents = 2\n", "proxy.toml: backends[0].agents: is '2', but must be one of pull, standby, sticky"),
        (SMALLEST + "max-queue = 0\n", "proxy.toml: backends[0].max-queue: is '0', but must be a whole number from 1"),
        (SMALLEST + "max-queue = true\n", "proxy.toml: backends[0].max-queue: is 'true', but must be a whole number"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, text: str, said: str) -> None:
    assert problem(tmp_path, text).startswith(said)
