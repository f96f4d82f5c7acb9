"""Running what was asked for: in the thread that asked for it and in further ones, as far as there are slots."""

import logging
from collections.abc import Callable, Sequence
from functools import partial

from agent.crew import Crew, Task
from agent.messages import Listed, Request, id_of
from agent.slots import Slots, run_in

logger = logging.getLogger(__name__)

End = Callable[[], None]
"""To be called when a request is over, perhaps later and from another thread."""
Run = Callable[[Listed, End], None]
RunTogether = Callable[[Sequence[tuple[Request, End]]], None]


class Runs:
    """What runs and what is to, for one poller.

    Where it `is_interrupted` nothing more gets a slot, and what was listed is left over. `on_drained` is called once,
    when it is closed and nothing runs any more, from any thread.
    """

    def __init__(
        self,
        run: Run,
        run_together: RunTogether | None,
        *,
        slots: Slots,
        crew: Crew,
        is_interrupted: Callable[[], bool],
        on_drained: Callable[[], None],
    ) -> None:
        """`run` runs a request, and `run_together` several that are here in one thread; None for one each."""
        self._run = run
        self._run_together = run_together
        self._slots = slots
        self._changed = slots.changed  # guards what follows
        self._crew = crew
        self._is_interrupted = is_interrupted
        self._on_drained = _Once(on_drained)
        self._left_over: list[Listed] = []  # listed, and not begun before a pause or the end
        self._is_closed = False

    def begin(self, new: Sequence[Listed]) -> Task | None:
        """Begin with what is new, each as soon as there is room; what this thread is to do, if anything."""
        mine: Task | None = None
        here = [each for each in new if isinstance(each, Request)]
        if self._run_together is not None and len(here) > 1:
            mine = partial(self._run_all, self._run_together, here)
            new = [each for each in new if not isinstance(each, Request)]
        for each in new:
            if mine is not None and not (isinstance(each, Request) or self.has_room()):
                # What waits for a slot must not keep what has one.
                self._hand_over(mine)
                mine = None
            if not self._takes_slot(each):
                self._left_over.append(each)
            elif mine is None:
                mine = partial(self._run_one, each)
            else:
                self._hand_over(partial(self._run_one, each))
        return mine

    def has_room(self) -> bool:
        """True if a slot is free."""
        with self._changed:
            return self._slots.free > 0

    def take_left_over(self) -> list[Listed]:
        """What was listed and not begun, as the caller's alone."""
        left_over, self._left_over = self._left_over, []
        return left_over

    def begin_late(self, listed: Listed) -> bool:
        """Begin all the same with what was left over, in another thread, once there is room; False when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._slots.free > 0)
            if self._is_closed:
                return False
            self._slots.running += 1
        self._hand_over(partial(self._run_one, listed))
        return True

    def close(self) -> None:
        """From now on nothing is begun any more; what runs goes on."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            is_drained = not self._slots.running
        if is_drained:
            self._on_drained()

    def _takes_slot(self, listed: Listed) -> bool:
        """Wait for a slot; False when it is not to be begun. A request that is here has its own."""
        if isinstance(listed, Request):
            return True
        with self._changed:
            self._changed.wait_for(lambda: self._is_interrupted() or self._slots.free > 0)
            if self._is_interrupted():
                return False
            self._slots.running += 1
            return True

    def _hand_over(self, task: Task) -> None:
        self._crew.run(partial(self._run_handed, task))

    def _run_handed(self, task: Task) -> None:
        run_in(self._slots)
        task()

    def _run_all(self, run: RunTogether, requests: Sequence[Request]) -> None:
        ends = [_Once(self._end_one) for _ in requests]
        try:
            run(list(zip(requests, ends, strict=True)))
        except Exception:
            logger.exception("%.8s and others: the agent failed", requests[0].request_id)
            for end in ends:
                end()

    def _run_one(self, listed: Listed) -> None:
        end = _Once(self._end_one)
        try:
            self._run(listed, end)
        except Exception:
            logger.exception("%.8s the agent failed", id_of(listed))
            end()

    def _end_one(self) -> None:
        with self._changed:
            self._slots.running -= 1
            is_drained = self._is_closed and not self._slots.running
            self._changed.notify_all()
        if is_drained:
            self._on_drained()


class _Once:
    """Calls a function the first time that it is called itself."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[], None]) -> None:
        self._function: Callable[[], None] | None = function

    def __call__(self) -> None:
        function, self._function = self._function, None
        if function is not None:
            function()
