"""The loop of the agent: ask → skip what is known → run (`agent.runs`); its pauses, and its end.

Whoever asks also runs what comes: of several requests the first, and of one that one, so that a lone request changes no
hands. Before it does so it sees to it that somebody else asks meanwhile.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from agent.backoff import POLLING
from agent.crew import Crew, Task
from agent.messages import Listed, Request, id_of
from agent.proxy.errors import ProxyError
from agent.runs import Run, Runs, RunTogether
from agent.seen import SeenIds
from agent.slots import Slots, run_in
from agent.telemetry.observer import UNOBSERVED, Observer
from agent.transport.client import Interrupt
from agent.transport.errors import TransportError
from wire.errors import WireError

logger = logging.getLogger(__name__)

_SHORTEST_TURN: Final = 0.1
"""Seconds: a proxy that answers at once, like the original that lists what is being worked on, is not hammered."""

_SHORTEST_BATCHED_TURN: Final = 0.01
"""The same in version 2: processes of a proxy may each name a request, and each does so once in a while."""

_FAREWELL: Final = 2.0
"""Seconds: how long the proxy may take to hear that the agent asks no more, at the end of all."""

_ENDING_POLLS: Final = 1.0
"""Seconds: how long polls may take to end once the proxy has heard that."""

_MOST_AT_ONCE: Final = 32
"""Requests that one poll asks for: enough to be cheap for each, and not more than runs within some milliseconds."""

_FEW: Final = 2
"""Requests at a time up to which one poll more than needed is worth its price: the next one wakes nobody."""


class Asked(Protocol):
    """Who is asked for requests: see `Conversation`. `poll` raises `ProxyError`, `TransportError` and `WireError`."""

    def poll(self, interrupt: Interrupt, *, capacity: int) -> Sequence[Listed]:
        """Up to `capacity` requests, as soon as there are any; perhaps more of those that have to be fetched."""

    def take(self, listed: Sequence[Listed]) -> Sequence[Listed]:
        """What was listed, with requests for names where the proxy gives several at once, and without those that are
        not to be had."""

    def leave(self) -> bool:
        """Say that the agent asks no more for now; true if what is listed and not begun has been taken back."""

    @property
    def is_batched(self) -> bool:
        """True where `leave` ends the polls that wait, so that none has to be cut short."""

    @property
    def most_polls(self) -> int:
        """How many polls there may be at a time."""

    @property
    def width(self) -> int:
        """How many polls keep its link busy; no more than `most_polls`."""


class Poller:
    """Asks for work while there is room for it and nobody has paused it, until it is stopped.

    `on_drained` is called once, after `stop`, when nothing runs any more and the proxy knows, or has had its time to;
    from any thread. `on_death` is called when nobody asks any more because of an error: only a new process helps.
    """

    def __init__(
        self,
        proxy: Asked,
        run: Run,
        *,
        seen: SeenIds,
        concurrency: int,
        jitter: Callable[[], float],
        on_drained: Callable[[], None],
        on_death: Callable[[], None] = lambda: None,
        observer: Observer = UNOBSERVED,
        crew: Crew | None = None,
        run_together: RunTogether | None = None,
    ) -> None:
        """`run` and `run_together`: see `Runs`."""
        self._proxy = proxy
        self._seen = seen
        self._jitter = jitter
        self._on_death = on_death
        self._observer = observer
        self._crew = crew or Crew("exchange")
        self._slots = Slots(concurrency)
        self._runs = Runs(
            run,
            run_together,
            slots=self._slots,
            crew=self._crew,
            is_interrupted=self._is_interrupted,
            on_drained=on_drained,
        )
        self._changed = self._slots.changed  # guards all below
        self._asking = 0  # threads that ask, wait for room to ask, or rest in between
        self._polls: set[Interrupt] = set()
        self._failures = 0
        self._has_asked = False
        self._is_started = False
        self._is_paused = False
        self._is_stopping = False
        self._is_leaving = False
        self._is_dead = False

    def start(self) -> None:
        with self._changed:
            self._is_started = True
        self._begin_asking()

    @property
    def is_working(self) -> bool:
        """False when asking has ended though nobody stopped it: only a new process helps."""
        return self._is_stopping or (self._is_started and not self._is_dead)

    def pause(self) -> None:
        """Ask no more until `resume`, at once; what runs goes on. Also before the start, and more than once."""
        with self._changed:
            self._is_paused = True
        self._begin_to_leave()

    def resume(self) -> None:
        """Ask again; nothing happens unless it is paused."""
        with self._changed:
            self._is_paused = False
        self._begin_asking()

    def stop(self) -> int:
        """Ask no more, at once; the number of requests that still run."""
        self._observer.draining_began()
        with self._changed:
            self._is_stopping = True
            running, is_started = self._slots.running, self._is_started
        if not is_started:
            self._runs.close()
            return running
        self._begin_to_leave()
        farewell = threading.Timer(_FAREWELL, self._runs.close)
        farewell.daemon = True
        farewell.start()
        return running

    def _is_interrupted(self) -> bool:
        return self._is_stopping or self._is_paused or self._is_leaving

    # Asking

    def _begin_asking(self) -> None:
        """Have somebody ask, if nobody does and somebody may."""
        with self._changed:
            if self._asking or self._is_interrupted() or not self._is_started:
                return
            self._asking += 1
        self._crew.run(self._live)

    def _live(self) -> None:
        """What a thread does that begins to ask."""
        run_in(self._slots)
        try:
            while (task := self._ask()) is not None:
                task()
                if not self._may_ask():
                    return
        except Exception:
            self._die()

    def _die(self) -> None:
        logger.critical("the agent cannot ask for requests any more", exc_info=True)
        self._is_dead = True
        self._on_death()

    def _ask(self) -> Task | None:
        """Ask until something comes that this thread is to do; None when it is to ask no more."""
        while capacity := self._wait_for_turn():
            asked_at = time.monotonic()
            try:
                new = self._poll(capacity)
            except (ProxyError, TransportError, WireError) as exc:
                if self._is_surplus():
                    return None
                self._rest_after(exc)
                continue
            except Exception:
                logger.exception("polling failed")
                self._observer.poll_failed("the agent failed: its log says why")
                self._rest(POLLING.longest.total_seconds())
                continue
            if mine := self._runs.begin(new):
                self._pass_on()
                return mine
            if not new:
                if self._is_surplus():
                    return None
                turn = _SHORTEST_BATCHED_TURN if self._proxy.is_batched else _SHORTEST_TURN
                self._rest(asked_at + turn - time.monotonic())
        return None

    def _wait_for_turn(self) -> int:
        """Wait until requests may be asked for; how many, 0 when none are to be."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_interrupted() or self._slots.free > 0)
            if self._is_interrupted():
                self._asking -= 1
                self._changed.notify_all()
                return 0
            # Something is left for another poll that may be needed at once, and for other agents.
            capacity = min((self._slots.free + 1) // 2, _MOST_AT_ONCE)
            self._slots.promise(capacity)
            self._has_asked = True
            return capacity

    def _poll(self, capacity: int) -> list[Listed]:
        """What is new to this agent; requests that are here count as running. Raises as `Asked.poll`."""
        interrupt = Interrupt()
        with self._changed:
            self._polls.add(interrupt)
            if self._is_interrupted() and not self._proxy.is_batched:
                interrupt.trigger()
        self._observer.poll_began()
        new: list[Listed] = []
        try:
            listed = self._proxy.poll(interrupt, capacity=capacity)
            new = self._take([each for each in listed if self._seen.add(id_of(each))])
        finally:
            with self._changed:
                self._polls.discard(interrupt)
                self._slots.promise(-capacity)
                self._slots.running += sum(isinstance(each, Request) for each in new)
        if self._failures:
            logger.info("the proxy answers again")
            self._failures = 0
        return new

    def _take(self, listed: list[Listed]) -> list[Listed]:
        """With the requests that are fetched at once. One that this agent does not get may be listed to it again."""
        taken = list(self._proxy.take(listed))
        for request_id in {id_of(each) for each in listed} - {id_of(each) for each in taken}:
            self._seen.discard(request_id)
        return taken

    def _rest_after(self, exc: Exception) -> None:
        with self._changed:
            if self._is_interrupted():
                return
            self._failures += 1
            failures = self._failures
        self._observer.poll_failed(str(exc))
        delay = POLLING.delay(failures - 1, jitter=self._jitter()).total_seconds()
        logger.warning("cannot ask the proxy for requests (asking again in %.1f s): %s", delay, exc)
        self._rest(delay)

    def _rest(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(self._is_interrupted, timeout=max(0.0, seconds))

    def _is_surplus(self) -> bool:
        """True if this thread asks no more: nothing comes, and another one asks."""
        with self._changed:
            if self._asking == 1:
                return False
            self._asking -= 1
            return True

    def _pass_on(self) -> None:
        """This thread runs something now: have as many ask as should."""
        with self._changed:
            self._asking -= 1
            missing = 0 if self._is_interrupted() else max(0, self._width - self._asking)
            self._asking += missing
            self._changed.notify_all()
        for _ in range(missing):
            self._crew.run(self._live)

    @property
    def _width(self) -> int:
        """How many polls should be on their way: no more than requests run, because a poll that waits has its price at
        the proxy, too."""
        return max(1, min(self._proxy.width, self._slots.running))

    def _may_ask(self) -> bool:
        """True if this thread, which has nothing to do now, is to ask."""
        with self._changed:
            # One to spare: the next lone request then wakes nobody.
            wanted = min(self._width + (self._slots.running <= _FEW), self._proxy.most_polls)
            if self._is_interrupted() or self._asking >= wanted:
                return False
            self._asking += 1
            return True

    # Leaving

    def _begin_to_leave(self) -> None:
        with self._changed:
            self._changed.notify_all()
            if self._is_leaving or not self._is_started:
                return
            self._is_leaving = True
        self._crew.run(self._leave)

    def _leave(self) -> None:
        """End the polls, and tell the proxy; then ask again, if that is wanted by now."""
        try:
            has_told = self._end_polls()
            if self._has_asked:
                self._has_asked = False
                has_told = has_told or self._proxy.leave()
            self._give_back(was_taken=has_told)
        except Exception:
            self._die()
        with self._changed:
            self._is_leaving = False
            is_over = self._is_stopping
        if is_over:
            self._runs.close()
        else:
            self._begin_asking()

    def _end_polls(self) -> bool:
        """Return when nobody asks any more; true if the proxy has been told, and took back what was listed."""
        has_told = self._has_asked and self._proxy.is_batched and self._proxy.leave()
        with self._changed:
            if has_told:
                self._changed.wait_for(lambda: not self._asking, timeout=_ENDING_POLLS)
            polls = list(self._polls)
        for interrupt in polls:
            interrupt.trigger()
        with self._changed:
            self._changed.wait_for(lambda: not self._asking)
        return has_told

    def _give_back(self, *, was_taken: bool) -> None:
        """What was listed and not begun goes to others. A proxy that does not take it back may never list it again."""
        for listed in self._runs.take_left_over():
            if was_taken:
                self._seen.discard(id_of(listed))
            elif not self._runs.begin_late(listed):
                return
