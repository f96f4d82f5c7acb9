"""The one door to the `gcloud` command: every call stands on one project, asks nothing, and can be looked at first."""

import shlex
import shutil
import subprocess

from scripts.children import ROOT


class GcloudFailed(Exception):
    """A command that gcloud refused; the text is the last line of what it said."""


class Gcloud:
    """`gcloud` for one project. In a dry run `run` prints its command and does nothing else."""

    def __init__(self, project: str, *, is_dry_run: bool = False) -> None:
        self.project = project
        self._is_dry_run = is_dry_run

    @staticmethod
    def is_installed() -> bool:
        """True when there is a `gcloud` on the PATH."""
        return shutil.which("gcloud") is not None

    def ask(self, *arguments: str) -> str:
        """What a command prints, without the white space around it. Raises `GcloudFailed`."""
        done = subprocess.run(self._command(arguments), cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"gcloud ended with exit code {done.returncode}"]
            raise GcloudFailed(said[-1])
        return done.stdout.strip()

    def run(self, *arguments: str) -> None:
        """Print a command and carry it out before the user's eyes. Raises `GcloudFailed`."""
        command = self._command(arguments)
        print(f"$ {shlex.join(command)}", flush=True)
        if self._is_dry_run:
            return
        code = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode
        if code:
            raise GcloudFailed(f"gcloud ended with exit code {code}: {shlex.join(command)}")

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return ["gcloud", *arguments, f"--project={self.project}", "--quiet"]
