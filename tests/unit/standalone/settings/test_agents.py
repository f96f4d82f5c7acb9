"""`standalone.settings.agents`."""

from pathlib import Path

import pytest

from edge.settings import SettingsError
from standalone.identity.tokens import Entry, digest_of
from standalone.settings.agents import AgentSettings
from standalone.settings.keys import Given


def agents(tokens: Path) -> AgentSettings:
    return AgentSettings.of({"tokens": Given((str(tokens),), "agents.tokens")})


def test_a_file_of_tokens_is_a_way_to_know_agents(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(Entry(account="ci", digest=digest_of("x")).line())

    assert agents(tmp_path / "tokens").knows_anybody
    assert not AgentSettings.of({}).knows_anybody


def test_a_bad_line_of_it_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("# none\nci secret\n")
    with pytest.raises(SettingsError, match=f"^agents.tokens: {tmp_path}/tokens: line 2: the hash of a token"):
        agents(tmp_path / "tokens")


def test_there_has_to_be_such_a_file(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match="^agents.tokens: is '.*', but must be a file that exists and can be reached$"
    ):
        agents(tmp_path / "tokens")
