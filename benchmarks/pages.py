"""Pages that a program writes a part of, between two marks; and their tables."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

END: Final = "<!-- The end of what is written. -->"


@dataclass(frozen=True, slots=True)
class Page:
    """The text of a page, of which what stands between `begin` and `END` is written by a program."""

    text: str
    begin: str

    @property
    def kept(self) -> str:
        """What was written. Raises `ValueError` where the marks are missing."""
        return self._pieces()[1].strip()

    def keeping(self, written: str) -> str:
        """The text with that part anew. Raises as `kept` does."""
        before, _, after = self._pieces()
        return f"{before}{self.begin}\n\n{written}\n\n{END}{after}"

    def _pieces(self) -> tuple[str, str, str]:
        before, begin, rest = self.text.partition(self.begin)
        written, end, after = rest.partition(END)
        if not begin or not end:
            raise ValueError(f"the page lacks the lines {self.begin!r} and {END!r}")
        return before, written, after


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, rule: Sequence[str] = ()) -> str:
    """In Markdown; `rule` says of each column where its cells stand, by default all to the left."""
    rule = rule or ["---"] * len(header)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, rule, *rows])


def rows_under(text: str, title: str) -> list[list[str]]:
    """The cells of the table under a title of the third level, without its header; none where there is no such one."""
    _, _, section = text.partition(f"### {title}\n")
    lines = section.partition("\n#")[0].splitlines()
    cells = [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in lines if line.startswith("|")]
    return cells[2:]
