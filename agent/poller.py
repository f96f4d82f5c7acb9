"""The loop of the agent: list → skip what is known → hand to a bounded pool of threads; and its end, draining."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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


class Poller:
    """Asks for work while there is room for it, until it is stopped.

    `on_drained` is called once, after `stop`, when nothing runs any more; from any thread.
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
        observer: Observer = UNOBSERVED,
    ) -> None:
        self._list_pending = list_pending
        self._run = run
        self._seen = seen
        self._concurrency = concurrency
        self._jitter = jitter
        self._on_drained = on_drained
        self._observer = observer
        self._interrupt = Interrupt()
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="exchange")
        self._changed = threading.Condition()  # guards the two below
        self._running = 0
        self._is_stopping = False
        self._thread = threading.Thread(target=self._loop, name="poller", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_working(self) -> bool:
        """False when the loop has ended though nobody stopped it: only a new process helps."""
        return self._is_stopping or self._thread.is_alive()

    def stop(self) -> int:
        """Ask no more, at once; the number of requests that still run."""
        self._observer.draining_began()
        with self._changed:
            self._is_stopping = True
            running = self._running
            self._changed.notify_all()
        self._interrupt.trigger()
        if not running:
            self._on_drained()
        return running

    def _loop(self) -> None:
        failures = 0
        while self._wait_for_room():
            asked_at = time.monotonic()
            self._observer.poll_began()
            try:
                listed = self._list_pending(self._interrupt)
            except (ProxyError, TransportError, WireError) as exc:
                failures += 1
                self._pause_after(exc, failures)
                continue
            except Exception:
                logger.exception("polling failed")
                self._observer.poll_failed("the agent failed: its log says why")
                failures += 1
                self._pause(POLLING.longest.total_seconds())
                continue
            if failures:
                logger.info("the proxy answers again")
            failures = 0
            if not self._start_new(listed):
                self._pause(asked_at + _SHORTEST_TURN - time.monotonic())

    def _pause_after(self, exc: Exception, failures: int) -> None:
        if self._is_stopping:
            return
        self._observer.poll_failed(str(exc))
        delay = POLLING.delay(failures - 1, jitter=self._jitter()).total_seconds()
        logger.warning("cannot ask the proxy for requests (asking again in %.1f s): %s", delay, exc)
        self._pause(delay)

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopping, timeout=max(0.0, seconds))

    def _wait_for_room(self) -> bool:
        """Wait until another request may run; False when there is nothing more to run."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopping or self._running < self._concurrency)
            return not self._is_stopping

    def _start_new(self, listed: list[RequestId]) -> int:
        """Start what is not known yet, each as soon as there is room; the number of requests started."""
        started = 0
        for request_id in listed:
            if not self._seen.add(request_id):
                continue
            if not self._start(request_id):
                break
            started += 1
        return started

    def _start(self, request_id: RequestId) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopping or self._running < self._concurrency)
            if self._is_stopping:
                return False
            self._running += 1
        self._pool.submit(self._run_one, request_id)
        return True

    def _run_one(self, request_id: RequestId) -> None:
        try:
            self._run(request_id)
        except Exception:
            logger.exception("%.8s the agent failed", request_id)
        finally:
            with self._changed:
                self._running -= 1
                is_drained = self._is_stopping and not self._running
                self._changed.notify_all()
            if is_drained:
                self._on_drained()
