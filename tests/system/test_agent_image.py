"""What `agent/Dockerfile` puts into the image, in an empty folder and in the agent's own environment: does it run?"""

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.image import ROOT, Dockerfile, Ignored
from tests.system.processes import Process, interpreter
from tests.timing import SECOND

DOCKERFILE: Final = Dockerfile.read()

OPTIONAL: Final = ("google.cloud", "google.auth", "google.oauth2", "grpc", "prometheus_client", "h2", "websockets")
"""What takes its time to import and is asked for by a flag."""

IMPORT_ALL: Final = """
import importlib, pkgutil, agent, wire
for package in (agent, wire):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
        print(module.name)
"""


@pytest.fixture(scope="module")
def app(folder: Path) -> Path:
    """The image's folder of the same name, with what Docker would copy there."""
    app = folder / "app"
    files = list(Ignored.read().let_in())
    for source, target in DOCKERFILE.copies():
        for path in files:
            if path.is_relative_to(source) and not target.startswith("/"):
                (app / target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / path, app / target / path.relative_to(source))
    return app


def run(app: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Python in the image's folder, with the image's variables and `env`."""
    return subprocess.run(
        [interpreter("agent"), *arguments],
        cwd=app,
        env={"PATH": os.environ["PATH"], **DOCKERFILE.environment(), **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=60 * SECOND,
    )


def in_image(command: list[str]) -> list[str]:
    """The arguments of a command of the image, whose program is Python."""
    assert command[0] == "python"
    return command[1:]


def test_every_module_imports_with_what_is_required_and_nothing_else(app: Path) -> None:
    done = run(app, "-c", IMPORT_ALL)
    assert (done.returncode, done.stderr) == (0, "")
    assert {"agent.__main__", "agent.identity.google", "wire.http1"} <= set(done.stdout.split())


def test_the_command_of_the_image_starts_the_agent(app: Path) -> None:
    done = run(app, *in_image(DOCKERFILE.json("ENTRYPOINT")), "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("inverting-proxy agent ")


def test_without_a_proxy_it_says_what_is_missing(app: Path) -> None:
    """As far as the image's variables go, it is told where the backend is."""
    done = run(app, *in_image(DOCKERFILE.json("ENTRYPOINT")))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("agent: --proxy (or PROXY) is missing")


def test_without_a_status_port_the_health_check_has_nothing_to_ask(app: Path) -> None:
    done = run(app, *in_image(DOCKERFILE.json("HEALTHCHECK")))
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_optional_is_not_imported_before_the_first_poll(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(60 * SECOND)
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        flags = [f"--proxy={url}", "--backend=b", "--credentials=none"]
        agent = Process(
            "agent", [interpreter("agent"), "-X", "importtime", "-m", "agent", *flags], log=tmp_path / "agent.log"
        )
        try:
            with proxy.accept()[0] as connection:
                first = connection.recv(1)
        finally:
            agent.kill()
    imported = set(re.findall(r"^import time: .*\| +(\S+)$", agent.printed(), re.MULTILINE))

    assert first == b"G"
    assert "wire.http1" in imported
    assert [name for name in OPTIONAL if name in imported] == []
