from pathlib import Path

import pytest

from standalone.doors.dispatch import Door, Entrance
from standalone.doors.entrances import entrances_of
from standalone.settings.addresses import parse_address
from standalone.settings.load import load_settings


def doors(folder: Path | None = None, **listen: str) -> list[tuple[str, str]]:
    """Each address, and the first letters of its doors. `folder`: there are administrators, whose tokens are there."""
    environ = {f"INVERTING_PROXY_LISTEN_{name.upper()}": text for name, text in listen.items()}
    if folder is not None:
        for table in ("AGENTS", "ADMINISTRATORS"):
            (folder / table).touch()
            environ[f"INVERTING_PROXY_{table}_TOKENS"] = str(folder / table)
        environ["INVERTING_PROXY_USERS_SIGN_IN"] = "public"
    found = entrances_of(load_settings(["--open"] if folder is None else [], environ))
    return [(str(address), "".join(sorted(door.value[:2] for door in entrance.doors))) for address, entrance in found]


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ({}, [("127.0.0.1:8080", "agus")]),
        ({"users": "a:1,b:2"}, [("a:1", "agus"), ("b:2", "agus")]),
        ({"users": "a:1", "agents": "a:2"}, [("a:1", "us"), ("a:2", "ag")]),
        ({"users": "a:1,b:2", "agents": "b:2,c:3"}, [("a:1", "us"), ("b:2", "agus"), ("c:3", "ag")]),
        ({"users": "unix:///x", "agents": "unix:///x"}, [("unix:///x", "agus")]),
    ],
)
def test_who_has_no_address_of_its_own_shares_the_users(
    listen: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    assert doors(**listen) == expected


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ({}, [("127.0.0.1:8080", "agapus")]),
        ({"users": "a:1", "agents": "a:2"}, [("a:1", "apus"), ("a:2", "ag")]),
        ({"users": "a:1", "api": "a:9"}, [("a:1", "agus"), ("a:9", "ap")]),
        ({"users": "a:1", "agents": "b:2", "api": "b:2"}, [("a:1", "us"), ("b:2", "agap")]),
    ],
)
def test_where_there_are_administrators_they_have_a_door(
    tmp_path: Path, listen: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    assert doors(tmp_path, **listen) == expected


def test_free_ports_are_never_shared() -> None:
    assert doors(users="a:0", agents="a:0") == [("a:0", "us"), ("a:0", "ag")]


def test_every_door_knows_the_names() -> None:
    environ = {"INVERTING_PROXY_LISTEN_AGENTS_HOST": "Agents.example", "INVERTING_PROXY_LISTEN_API_HOST": "api.example"}

    assert entrances_of(load_settings(["--open"], environ)) == [
        (
            parse_address("127.0.0.1:8080"),
            Entrance(doors=frozenset({Door.USERS, Door.AGENTS}), agents_host="agents.example", api_host="api.example"),
        )
    ]
