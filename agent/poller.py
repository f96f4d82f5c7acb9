"""The loop of the agent: list → skip what is known → hand to a bounded pool of threads; its pauses, and its end."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from agent.backoff import POLLING
from agent.proxy.errors import ProxyError
from agent.seen import SeenIds
from agent.telemetry.observer import UNOBSERVED, Observer
from agent.transport.client import Interrupt
from agent.transport.errors import TransportError
from wire.errors import WireError
from wire.protocol import RequestId

logger = logging.getLogger(__name__)

_SHORTEST_TURN: Final = 0.1
"""Seconds: a proxy that answers at once, like the original that lists what is being worked on, is not hammered."""

_FAREWELL: Final = 2.0
"""Seconds: how long the proxy may take to hear that the agent asks no more, at the end of all."""

MOST_YIELDED: Final = 1000
"""Requests that wait without a slot, in one poller: each has a thread all the same."""

_current = threading.local()
"""`poller`: whose thread this is."""


@contextmanager
def yielding() -> Iterator[None]:
    """Give the slot of the request that runs in this thread back while it only waits, as a long poll does.

    The slot is taken again at the end without waiting: what comes then is short, and nobody has to wait for a request
    that has waited. Beyond `MOST_YIELDED` requests keep their slots. Outside of a poller's threads nothing happens.
    """
    poller: Poller | None = getattr(_current, "poller", None)
    if poller is None or not poller.begin_waiting():
        yield
        return
    try:
        yield
    finally:
        poller.end_waiting()


class Poller:
    """Asks for work while there is room for it and nobody has paused it, until it is stopped.

    `leave` tells the proxy that the agent asks no more for now; true if it has taken back what it had listed.
    `on_drained` is called once, after `stop`, when nothing runs any more and the proxy knows, or has had its time to;
    from any thread. `on_death` is called when the loop ends by an error: only a new process helps.
    """

    def __init__(
        self,
        list_pending: Callable[[Interrupt], list[RequestId]],
        run: Callable[[RequestId], None],
        *,
        seen: SeenIds,
        concurrency: int,
        jitter: Callable[[], float],
        on_drained: Callable[[], None],
        leave: Callable[[], bool] = lambda: False,
        on_death: Callable[[], None] = lambda: None,
        observer: Observer = UNOBSERVED,
    ) -> None:
        self._list_pending = list_pending
        self._run = run
        self._seen = seen
        self._concurrency = concurrency
        self._jitter = jitter
        self._on_drained = on_drained
        self._leave = leave
        self._on_death = on_death
        self._observer = observer
        self._interrupt = Interrupt()
        self._pool = ThreadPoolExecutor(concurrency + MOST_YIELDED, thread_name_prefix="exchange")
        self._changed = threading.Condition()  # guards the six below, and _interrupt
        self._running = 0
        self._waiting = 0  # those that run and have yielded their slots
        self._is_paused = False
        self._is_stopping = False
        self._has_left = False  # nothing is begun any more
        self._has_asked = False  # this and the next are the loop's alone
        self._left_over: list[RequestId] = []  # listed, and not begun before a pause or the end
        self._thread = threading.Thread(target=self._live, name="poller", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_working(self) -> bool:
        """False when the loop has ended though nobody stopped it: only a new process helps."""
        return self._is_stopping or self._thread.is_alive()

    def pause(self) -> None:
        """Ask no more until `resume`, at once; what runs goes on. Also before the start, and more than once."""
        with self._changed:
            self._is_paused = True
            interrupt = self._interrupt
            self._changed.notify_all()
        interrupt.trigger()

    def resume(self) -> None:
        """Ask again; nothing happens unless it is paused."""
        with self._changed:
            self._is_paused = False
            self._changed.notify_all()

    def stop(self) -> int:
        """Ask no more, at once; the number of requests that still run."""
        self._observer.draining_began()
        with self._changed:
            self._is_stopping = True
            running, interrupt = self._running, self._interrupt
            self._changed.notify_all()
        interrupt.trigger()
        if self._thread.is_alive():
            farewell = threading.Timer(_FAREWELL, self._end_farewell)
            farewell.daemon = True
            farewell.start()
        else:
            self._end_farewell()
        return running

    def begin_waiting(self) -> bool:
        """A request that runs gives its slot back; False when too many have done so. See `yielding`."""
        with self._changed:
            if self._waiting >= MOST_YIELDED:
                return False
            self._waiting += 1
            self._changed.notify_all()
            return True

    def end_waiting(self) -> None:
        """The request goes on."""
        with self._changed:
            self._waiting -= 1

    def _has_room(self) -> bool:
        return self._running - self._waiting < self._concurrency

    def _live(self) -> None:
        try:
            self._loop()
            self._end_farewell()
        except Exception:
            logger.critical("the agent cannot ask for requests any more", exc_info=True)
            self._on_death()

    def _loop(self) -> None:
        failures = 0
        while self._wait_for_turn():
            asked_at = time.monotonic()
            self._has_asked = True
            self._observer.poll_began()
            try:
                listed = self._list_pending(self._interrupt)
            except (ProxyError, TransportError, WireError) as exc:
                failures += 1
                self._rest_after(exc, failures)
                continue
            except Exception:
                logger.exception("polling failed")
                self._observer.poll_failed("the agent failed: its log says why")
                failures += 1
                self._rest(POLLING.longest.total_seconds())
                continue
            if failures:
                logger.info("the proxy answers again")
            failures = 0
            if not self._start_new(listed):
                self._rest(asked_at + _SHORTEST_TURN - time.monotonic())

    def _rest_after(self, exc: Exception, failures: int) -> None:
        if self._is_interrupted():
            return
        self._observer.poll_failed(str(exc))
        delay = POLLING.delay(failures - 1, jitter=self._jitter()).total_seconds()
        logger.warning("cannot ask the proxy for requests (asking again in %.1f s): %s", delay, exc)
        self._rest(delay)

    def _rest(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(self._is_interrupted, timeout=max(0.0, seconds))

    def _is_interrupted(self) -> bool:
        return self._is_stopping or self._is_paused

    def _wait_for_turn(self) -> bool:
        """Wait until another request may be asked for; False when none will be."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_interrupted() or self._has_room())
                if not self._is_interrupted():
                    self._interrupt = Interrupt()
                    return True
            self._say_farewell()
            with self._changed:
                self._changed.wait_for(lambda: self._is_stopping or not self._is_paused)
                if self._is_stopping:
                    return False

    def _say_farewell(self) -> None:
        """Give back what was listed and not begun. A proxy that does not know of that may never list it again."""
        if not self._has_asked:
            return
        self._has_asked = False
        left_over, self._left_over = self._left_over, []
        if self._leave():
            for request_id in left_over:
                self._seen.discard(request_id)
            return
        for request_id in left_over:
            self._start(request_id, is_last_chance=True)

    def _end_farewell(self) -> None:
        with self._changed:
            if self._has_left:
                return
            self._has_left = True
            is_drained = not self._running
        if is_drained:
            self._on_drained()

    def _start_new(self, listed: list[RequestId]) -> int:
        """Start what is not known yet, each as soon as there is room; the number of requests started."""
        started = 0
        for request_id in listed:
            if not self._seen.add(request_id):
                continue
            if self._start(request_id):
                started += 1
            else:
                self._left_over.append(request_id)
        return started

    def _start(self, request_id: RequestId, *, is_last_chance: bool = False) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._is_interrupted() or self._has_room())
            if self._has_left or (self._is_interrupted() and not is_last_chance):
                return False
            self._running += 1
        self._pool.submit(self._run_one, request_id)
        return True

    def _run_one(self, request_id: RequestId) -> None:
        _current.poller = self
        try:
            self._run(request_id)
        except Exception:
            logger.exception("%.8s the agent failed", request_id)
        finally:
            with self._changed:
                self._running -= 1
                is_drained = self._has_left and not self._running
                self._changed.notify_all()
            if is_drained:
                self._on_drained()
