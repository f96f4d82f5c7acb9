"""The systemd unit of `docs/recipes/`: well-formed, hardened, and in step with the agent."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from agent.commandline.durations import parse_duration
from agent.settings.load import FLAGS

RECIPES: Final = Path(__file__).resolve().parents[2] / "docs" / "recipes"
UNIT: Final = RECIPES / "inverting-proxy-agent.service"
GUIDE: Final = RECIPES / "systemd.md"

ANALYZE: Final = shutil.which("systemd-analyze")


def settings(name: str) -> list[str]:
    """The values of one setting of the unit, in order."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)


def names() -> set[str]:
    return {name for flag in FLAGS for name in flag.environment_name.split(":")}


def test_it_sets_variables_of_flags_and_the_folder_to_unpack_into() -> None:
    assert {value.partition("=")[0] for value in settings("Environment")} - names() == {"SHIV_ROOT"}


def test_the_settings_of_the_guide_are_variables_of_flags() -> None:
    listed = re.search(r"agent\.env <<END\n(.*?)    END\n", GUIDE.read_text("utf-8"), re.DOTALL)
    assert listed
    given = {line.strip().partition("=")[0] for line in listed[1].splitlines()}
    assert {"PROXY", "BACKEND", "PORT"} <= given <= names()


def test_the_guide_installs_what_the_unit_names() -> None:
    guide = GUIDE.read_text("utf-8")
    (command,), (settings_file,), (credential,) = (
        settings("ExecStart"),
        settings("EnvironmentFile"),
        settings("LoadCredential"),
    )
    for path in (command.rpartition(" ")[2], settings_file, credential.partition(":")[2]):
        assert path in guide, path
    assert f"/etc/systemd/system/{UNIT.name}" in guide


def test_it_is_not_killed_while_it_finishes_what_runs() -> None:
    (patience,) = settings("TimeoutStopSec")
    (graceful,) = [flag.default for flag in FLAGS if flag.name == "graceful-shutdown-timeout"]
    assert parse_duration(patience) > parse_duration(graceful)


def test_it_is_started_again_unless_its_settings_cannot_be_used() -> None:
    assert (settings("Restart"), settings("RestartPreventExitStatus")) == (["always"], ["2"])
    assert settings("StartLimitIntervalSec") == ["0"]


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not on this machine")
def test_systemd_understands_it() -> None:
    assert ANALYZE is not None
    done = subprocess.run([ANALYZE, "verify", "--man=no", str(UNIT)], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if UNIT.name in line and "is not executable" not in line]
    assert complaints == []


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not on this machine")
def test_it_is_as_protected_as_the_guide_says() -> None:
    assert ANALYZE is not None
    command = [ANALYZE, "security", "--offline=true", "--no-pager", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    promised = re.search(r"puts this at ([\d.]+) of 10", GUIDE.read_text("utf-8"))
    assert level and promised, done.stderr
    # Newer versions of systemd count more settings.
    assert float(level[1]) <= float(promised[1]) + 0.5
