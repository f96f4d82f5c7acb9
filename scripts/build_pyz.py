"""`make agent.pyz`: the agent, `wire` and all that they require in one file, for a machine that has Python and no more.

    python -m scripts.build_pyz --output agent.pyz

The same sources give the same bytes. Compiled parts are those of this machine's platform, for each Python in `PYTHONS`.
shiv makes the file; in front of its own start stands `scripts.pyz_start`. What is required is installed once into
`.venv/pyz` and again when `agent/requirements.txt` changes.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent

PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")

PER_PYTHON: Final = "cffi"
"""The one requirement whose compiled part differs from Python to Python and that has no other form."""

_OURS: Final = ("agent", "wire")
_NOT_SHIPPED: Final = ("__pycache__", "Dockerfile*", "requirements*")


def main(arguments: Sequence[str]) -> None:
    """Build the file that `--output` names."""
    parser = argparse.ArgumentParser(prog="python -m scripts.build_pyz", description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True)
    output: Path = parser.parse_args(arguments).output
    required = install_requirements(ROOT / "agent" / "requirements.txt", ROOT / ".venv" / "pyz")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contents = folder / "contents"
        shutil.copytree(required, contents, ignore=shutil.ignore_patterns("bin", "__pycache__"))
        for package in _OURS:
            shutil.copytree(ROOT / package, contents / package, ignore=shutil.ignore_patterns(*_NOT_SHIPPED))
        run_shiv(contents, folder / "made.pyz")
        put_in_front(folder / "made.pyz", start=ROOT / "scripts" / "pyz_start.py")
        shutil.move(folder / "made.pyz", output)


def install_requirements(requirements: Path, folder: Path) -> Path:
    """Have all that is required in a folder below `folder`, compiled parts for each of `PYTHONS`; that folder."""
    text = requirements.read_text("utf-8")
    installed, stamp = folder / "site-packages", folder / "installed.txt"
    if stamp.exists() and stamp.read_text("utf-8") == text:
        return installed
    shutil.rmtree(folder, ignore_errors=True)
    _pip_install(installed, "--requirement", str(requirements))
    pinned = re.search(rf"^{PER_PYTHON}==[^\s;]+", text, re.MULTILINE)
    for version in PYTHONS if pinned else ():
        only = ["--upgrade", "--only-binary=:all:", "--python-version", version]
        _pip_install(installed, *only, pinned.group() if pinned else "")
    stamp.write_text(text, "utf-8")
    return installed


def _pip_install(target: Path, *arguments: str) -> None:
    # No dependencies: the requirements are pinned and complete, and must not be held against what runs pip.
    flags = ["--quiet", "--quiet", "--disable-pip-version-check", "--no-compile", "--no-deps", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *flags, *arguments], check=True)


def run_shiv(contents: Path, output: Path) -> None:
    """Have shiv put a folder into one file that begins with the agent."""
    entry = ["--entry-point", "agent.__main__:main", "--python", "/usr/bin/env python3"]
    command = [sys.executable, "-m", "shiv", "--reproducible", "--site-packages", str(contents), *entry]
    subprocess.run([*command, "--output-file", str(output)], check=True)


def put_in_front(pyz: Path, *, start: Path) -> None:
    """Let a file that shiv made begin with `start` instead of shiv's own `__main__.py`."""
    first_line = pyz.read_bytes().partition(b"\n")[0]
    changed = pyz.with_suffix(".changed")
    with zipfile.ZipFile(pyz) as made, changed.open("wb") as output:
        output.write(first_line + b"\n")
        with zipfile.ZipFile(output, "w") as archive:
            for entry in made.infolist():
                data = start.read_bytes() if entry.filename == "__main__.py" else made.read(entry)
                archive.writestr(entry, data, entry.compress_type)
    changed.chmod(0o755)
    changed.replace(pyz)


if __name__ == "__main__":
    main(sys.argv[1:])
