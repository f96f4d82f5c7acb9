"""`make agent.pyz`: one file, in an empty folder, with a Python that has nothing installed."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.system.backends import Peer
from tests.system.processes import ROOT, Process, environment
from tests.system.rawhttp import get
from tests.system.shapes import Standalone
from tests.timing import SECOND, wait_until

BARE: Final = str(Path(sys.base_prefix) / "bin" / "python3")
ANOTHER: Final = environment("dev-3.13") / "bin" / "python"
"""Of another minor version, where this machine has it."""

PATIENCE: Final = 60 * SECOND


def build(output: Path) -> Path:
    command = [sys.executable, "-m", "scripts.build_pyz", "--output", str(output)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=110)
    return output


def run(pyz: Path, *arguments: str, folder: Path, python: str = BARE, **env: str) -> subprocess.CompletedProcess[str]:
    """The file, started in a folder, isolated from this Python's environment and knowing none but `env`."""
    return subprocess.run(
        [python, "-I", str(pyz), *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


@pytest.fixture(scope="module")
def pyz(folder: Path) -> Path:
    return build(folder / "agent.pyz")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (folder := tmp_path / "empty").mkdir()
    return folder


def test_it_starts_in_an_empty_folder_and_leaves_nothing_there(pyz: Path, empty: Path, tmp_path: Path) -> None:
    done = run(pyz, "--version", folder=empty, HOME=str(tmp_path))

    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"inverting-proxy agent \d+\.\d+\.\d+\n", done.stdout)
    assert list(empty.iterdir()) == []


def test_it_says_where_flags_are_wrong_as_the_agent_does(pyz: Path, empty: Path, tmp_path: Path) -> None:
    done = run(pyz, "--no-such-flag", folder=empty, HOME=str(tmp_path))

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("agent: ")


def test_it_unpacks_into_the_folder_for_temporary_files_where_there_is_no_home(
    pyz: Path, empty: Path, tmp_path: Path
) -> None:
    done = run(pyz, "--version", folder=empty, HOME="/proc/none", TMPDIR=str(tmp_path))

    assert (done.returncode, done.stderr) == (0, "")
    (place,) = tmp_path.glob("inverting-proxy-agent-*")
    assert place.stat().st_mode & 0o777 == 0o700


def test_it_is_the_same_file_whenever_it_is_built(pyz: Path, tmp_path: Path) -> None:
    assert build(tmp_path / "agent.pyz").read_bytes() == pyz.read_bytes()


@pytest.mark.skipif(not ANOTHER.exists(), reason="only one version of Python is here")
def test_it_runs_with_another_python_too_compiled_parts_included(pyz: Path, empty: Path, tmp_path: Path) -> None:
    done = run(pyz, "--version", folder=empty, python=str(ANOTHER), SHIV_ROOT=str(tmp_path))
    (unpacked,) = tmp_path.glob("*/site-packages")
    script = f"import sys; sys.path.insert(0, {str(unpacked)!r}); import cryptography.x509, agent.identity.google"
    imported = subprocess.run([str(ANOTHER), "-I", "-c", script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert (imported.returncode, imported.stderr) == (0, "")


def test_it_forwards_requests(pyz: Path, peer: Peer, tmp_path: Path) -> None:
    proxy = Standalone(tmp_path)
    flags = [f"--proxy={proxy.url}", "--backend=pyz", f"--host={peer.url}", "--credentials=none"]
    agent = Process(
        "agent.pyz", [BARE, "-I", str(pyz), *flags], log=tmp_path / "pyz.log", env={"SHIV_ROOT": str(tmp_path)}
    )
    try:

        def is_answered() -> bool:
            agent.require_running()
            return get(proxy.url, "/echo").status == 200

        assert wait_until(is_answered, within=PATIENCE, what="an answer through agent.pyz")
        assert agent.stop() == 0
    finally:
        agent.kill()
        proxy.stop()
