"""A Dockerfile and its dockerignore, read without Docker: which files get in, and what is said of them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

ROOT: Final = Path(__file__).resolve().parents[1]


class Dockerfile:
    """The instructions of a Dockerfile, in order; comments, continuations and the defaults of `ARG` are resolved."""

    def __init__(self, text: str) -> None:
        self.text = text
        lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        joined = "\n".join(lines).replace("\\\n", " ").splitlines()
        self._instructions = [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in joined)]
        self._arguments = dict(value.split("=", 1) for value in self.all("ARG"))

    @classmethod
    def read(cls, folder: str = "agent") -> Self:
        return cls((ROOT / folder / "Dockerfile").read_text("utf-8"))

    def all(self, instruction: str) -> list[str]:
        """What stands behind each instruction of this name."""
        return [rest for name, rest in self._instructions if name == instruction]

    def last_index(self, instruction: str) -> int:
        """Where the last instruction of this name stands."""
        return max(index for index, (name, _) in enumerate(self._instructions) if name == instruction)

    def copied(self) -> list[str]:
        """The sources of `COPY`, from the root of the context."""
        return [source for source, _ in self.copies()]

    def copies(self) -> list[tuple[str, str]]:
        """Source and target of each `COPY`."""
        pairs = [self._resolved(rest).split() for rest in self.all("COPY")]
        return [(source, target) for source, target in pairs]

    def _resolved(self, text: str) -> str:
        return re.sub(r"\$\{(\w+)\}", lambda match: self._arguments[match[1]], text)

    def environment(self) -> dict[str, str]:
        """What `ENV` sets."""
        return dict(pair.split("=", 1) for rest in self.all("ENV") for pair in rest.split())

    def json(self, instruction: str) -> list[str]:
        """The command behind the one instruction of this name, which has flags or `CMD` before it, perhaps."""
        (rest,) = self.all(instruction)
        command: list[str] = json.loads(rest[rest.index("[") :])
        return command


class Ignored:
    """The rules of a dockerignore file: the last pattern that fits a path, or a folder above it, decides."""

    def __init__(self, lines: list[str]) -> None:
        rules = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        self._rules = [(not rule.startswith("!"), _expression(rule.removeprefix("!"))) for rule in rules]

    @classmethod
    def read(cls, folder: str = "agent") -> Self:
        return cls((ROOT / folder / "Dockerfile.dockerignore").read_text("utf-8").splitlines())

    def ignores(self, path: str) -> bool:
        """True for a file or folder, relative to the root of the context, that does not get in."""
        verdicts = [ignores for ignores, expression in self._rules if expression.fullmatch(path)]
        return bool(verdicts) and verdicts[-1]

    def let_in(self) -> Iterator[Path]:
        """Every file of the repository that gets in, relative to its root."""
        for top in ROOT.iterdir():
            # What no rule can bring back need not be walked through: environments are large.
            if not self.ignores(top.name):
                for path in [top, *top.rglob("*")]:
                    relative = path.relative_to(ROOT)
                    if path.is_file() and not self.ignores(relative.as_posix()):
                        yield relative


def _expression(pattern: str) -> re.Pattern[str]:
    """A pattern of Go's `filepath.Match`, and `**` for any number of folders; it fits all below what it names, too."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.strip("/"))
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(wild.get(part, re.escape(part)) for part in parts) + "(?:/.*)?")
