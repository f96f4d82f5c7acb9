"""A `gcloud` for the PATH: it writes down how it was called, and answers what a test has laid down."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SCRIPT: Final = """#!{python} -I
import json, pathlib, sys
folder = pathlib.Path({folder!r})
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
command = " ".join(sys.argv[1:])
for beginning, (code, text) in json.loads((folder / "answers").read_text()).items():
    if command.startswith(beginning):
        print(text, file=sys.stderr if code else sys.stdout)
        sys.exit(code)
"""


@dataclass(frozen=True, slots=True)
class FakeGcloud:
    """The stand-in in `folder`, which a test puts on the PATH. A command that no answer begins prints nothing."""

    folder: Path

    def install(self, answers: dict[str, str]) -> None:
        """Lay the command down, with what it prints for commands that begin so."""
        script = self.folder / "gcloud"
        script.write_text(_SCRIPT.format(python=sys.executable, folder=str(self.folder)), "utf-8")
        script.chmod(0o755)
        self._write({beginning: (0, text) for beginning, text in answers.items()})

    def answer(self, beginning: str, text: str) -> None:
        """Print something else for commands that begin so."""
        self._write({**self._answers(), beginning: (0, text)})

    def fail(self, beginning: str, text: str) -> None:
        """End commands that begin so with an error."""
        self._write({**self._answers(), beginning: (1, text)})

    @property
    def calls(self) -> list[str]:
        """The commands so far, without `gcloud`."""
        log = self.folder / "calls"
        return [" ".join(json.loads(line)) for line in log.read_text("utf-8").splitlines()] if log.exists() else []

    def _answers(self) -> dict[str, tuple[int, str]]:
        answers: dict[str, tuple[int, str]] = json.loads((self.folder / "answers").read_text("utf-8"))
        return answers

    def _write(self, answers: dict[str, tuple[int, str]]) -> None:
        (self.folder / "answers").write_text(json.dumps(answers), "utf-8")
