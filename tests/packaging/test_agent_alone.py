"""The agent ships alone: its folder and `wire`, and what its requirements name."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = {"agent", "wire"}

IMPORT_ALL = """
import importlib, importlib.abc, pkgutil, sys

FOREIGN = {foreign!r}

class Refusing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in FOREIGN:
            raise ImportError("refused: " + name)

sys.meta_path.insert(0, Refusing())
sys.path.insert(0, {folder!r})
import agent, wire
for package in (agent, wire):
    assert package.__file__.startswith({folder!r}), package.__file__
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
        print(module.name)
"""


def imported_by(package: str) -> set[str]:
    """The top-level names that the modules of a package import."""
    found: set[str] = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found


# Distributions that are imported by another name.
IMPORTED_AS = {"google-auth": "google", "google-cloud-monitoring": "google", "grpcio": "grpc"}


def packages() -> set[str]:
    """Every package at the root of the repository."""
    return {path.parent.name for path in ROOT.glob("*/__init__.py")}


def test_every_module_imports_without_the_rest_of_the_repository(tmp_path: Path) -> None:
    for package in OURS:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    script = IMPORT_ALL.format(foreign=packages() - OURS, folder=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert {"agent.__main__", "agent.identity.google", "wire.http1"} <= set(done.stdout.split())


def test_third_party_imports_are_among_the_requirements() -> None:
    files = ("requirements.in", "requirements-monitoring.in")
    lines = [line for name in files for line in (ROOT / "agent" / name).read_text("utf-8").splitlines()]
    required = {re.split(r"[<>=~! ]", line)[0] for line in lines if line and not line.startswith(("#", "-r "))}
    importable = {IMPORTED_AS.get(name, name.replace("-", "_")) for name in required}
    third_party = (imported_by("agent") | imported_by("wire")) - OURS - sys.stdlib_module_names
    assert third_party - importable == set()
