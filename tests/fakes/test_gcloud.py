import subprocess
from pathlib import Path

from tests.fakes.gcloud import FakeGcloud


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(folder / "gcloud"), *arguments], capture_output=True, text=True, check=False)


def test_it_answers_as_laid_down_and_writes_down_its_calls(tmp_path: Path) -> None:
    gcloud = FakeGcloud(tmp_path)
    gcloud.install({"auth list": "ada@example.com"})
    assert call(tmp_path, "auth", "list", "--quiet").stdout == "ada@example.com\n"
    assert gcloud.calls == ["auth list --quiet"]


def test_it_fails_where_a_case_says_so(tmp_path: Path) -> None:
    gcloud = FakeGcloud(tmp_path)
    gcloud.install({"app describe": "SERVING"})
    gcloud.fail("app describe", "ERROR: none")
    done = call(tmp_path, "app", "describe")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "ERROR: none\n")
