"""Threads that do what they are given. Handing work over costs a wake-up and no more: no queue, no result."""

import threading
from collections.abc import Callable
from typing import Final

Task = Callable[[], None]

_IDLE: Final = 60.0
"""Seconds after which a thread that nobody needed ends."""


class Crew:
    """As many threads as there are tasks at a time; the bound is the caller's. They end with the process at the latest.

    Who has waited shortest is woken first: its stack is still in the processor's cache, and the others get to end.
    """

    def __init__(self, name: str, *, idle: float = _IDLE) -> None:
        self._name = name
        self._idle_seconds = idle
        self._idle: list[_Member] = []  # append, pop and remove are atomic each

    def run(self, task: Task) -> None:
        """Do this soon, in another thread. Raises `RuntimeError` where no further thread can be had."""
        try:
            member = self._idle.pop()
        except IndexError:
            # Not given as an argument: a thread keeps those for as long as it runs.
            member = _Member()
            member.give(task)
            threading.Thread(target=self._work, args=(member,), name=self._name, daemon=True).start()
        else:
            member.give(task)

    def _work(self, member: "_Member") -> None:
        task = member.wait(None)
        while task is not None:
            task()
            task = None  # what it holds may be large
            self._idle.append(member)
            task = member.wait(self._idle_seconds)
            if task is None:
                try:
                    self._idle.remove(member)
                except ValueError:
                    # Somebody has just taken it from the list.
                    task = member.wait(None)


class _Member:
    """One thread, while it waits."""

    def __init__(self) -> None:
        self._called = threading.Lock()  # held while there is no task
        self._called.acquire()
        self._task: Task | None = None

    def give(self, task: Task) -> None:
        self._task = task
        self._called.release()

    def wait(self, seconds: float | None) -> Task | None:
        """The next task; None when there is none within so many seconds."""
        if not self._called.acquire(timeout=-1 if seconds is None else seconds):
            return None
        task, self._task = self._task, None
        return task
