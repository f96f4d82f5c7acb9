"""What `gcloud app deploy` would send, by gcloud's own reading of `.gcloudignore`."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"wire", "broker", "stores", "edge", "proxy_service", "agent_service", "api_service"}
FILES = {
    ".gcloudignore",
    "LICENSE",
    "agent_service.yaml",
    "api_service.yaml",
    "app.yaml",
    "cron.yaml",
    "dispatch.yaml",
    "index.yaml",
    "requirements.txt",
}


def committed() -> set[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(listed.stdout.splitlines())


@pytest.fixture(scope="module")
def uploaded(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    if not shutil.which("gcloud"):
        pytest.skip("there is no gcloud on the PATH")
    environment = {**os.environ, "CLOUDSDK_CONFIG": str(tmp_path_factory.mktemp("gcloud"))}
    command = ["gcloud", "meta", "list-files-for-upload", "."]
    listed = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return set(listed.stdout.splitlines())


def test_the_services_and_all_that_they_import_are_sent(uploaded: set[str]) -> None:
    needed = {name for name in committed() if name.split("/")[0] in PACKAGES or name in FILES}
    assert needed <= uploaded


def test_nothing_else_is_sent(uploaded: set[str]) -> None:
    assert {name for name in uploaded if name.split("/")[0] not in PACKAGES | FILES} == set()


def test_no_bytecode_is_sent(uploaded: set[str]) -> None:
    assert {name for name in uploaded if name.endswith(".pyc")} == set()
