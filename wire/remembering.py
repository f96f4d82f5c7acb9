"""Answers about names, remembered: a proxy meets the same few names of fields with nearly every message."""

from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

LONGEST: Final = 64
"""Characters of a name that is remembered."""

MOST: Final = 1024
"""How many names are remembered; strangers can send others without end, so all are forgotten then."""


class Remembered(dict[str, T]):
    """`remembered[name]` is `answer(name)`, asked once. May be used by several threads: at worst, it is asked twice."""

    __slots__ = ("_answer",)

    def __init__(self, answer: Callable[[str], T]) -> None:
        super().__init__()
        self._answer = answer

    def __missing__(self, name: str) -> T:
        answer = self._answer(name)
        if len(name) <= LONGEST:
            if len(self) >= MOST:
                self.clear()
            self[name] = answer
        return answer
