"""The Makefile: every command is explained, and does what the README says of it."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# A target may have a dot in it, like that of a file; one at its end is the sentence's.
_COMMAND = re.compile(r"(?:`|^ {4})make ([a-z][a-z-]*(?:\.[a-z-]+)*)", re.MULTILINE)


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def targets() -> set[str]:
    """The commands: targets that are no files."""
    lines = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    return {name for line in lines for name in line.split()}


def test_make_alone_explains_every_command() -> None:
    explained = set(re.findall(r"^  make ([a-z.-]+) +\S", make().stdout, re.MULTILINE))
    assert explained == targets()


def test_every_command_of_the_readme_is_one_of_the_makefile() -> None:
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    named = {name for path in documents for name in _COMMAND.findall(path.read_text("utf-8"))}
    assert "run" in named
    assert named - targets() == set()


def test_deploying_without_a_project_says_so_in_one_line() -> None:
    done = make("deploy", "PROJECT_ID=")
    assert done.returncode != 0
    assert done.stderr.splitlines()[0] == "PROJECT_ID is missing. Type: make deploy PROJECT_ID=your-project"


def test_a_python_that_is_too_old_is_named(tmp_path: Path) -> None:
    old = tmp_path / "python-of-old"
    old.write_text('#!/bin/sh\necho "Python 3.11 or later is needed; $0 is 3.8.18." >&2\nexit 1\n', "utf-8")
    old.chmod(0o755)
    done = make(f"PYTHON={old}", ".venv/never-there/.installed")
    assert done.returncode != 0
    assert "Python 3.11 or later is needed" in done.stderr
    assert not (ROOT / ".venv" / "never-there").exists()


def test_ci_calls_make_and_lets_no_emulator_test_be_skipped() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert "exec make check" in script
    assert "export REQUIRE_EMULATOR=1" in script
