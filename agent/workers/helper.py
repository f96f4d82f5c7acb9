"""The program of a helper: serves what the first worker serves, counts for it, and ends when it says so or is gone.

Signals are for the first worker alone: it has blocked them here, because a terminal, or systemd, sends them to all.
"""

import logging
import os
import signal
import threading
from functools import partial
from multiprocessing.connection import Connection
from typing import Final

from agent.composition import build_service
from agent.identity.errors import UnusableCredentials
from agent.process.allocation import GivingBack, c_library, share_one_heap
from agent.process.draining import drain
from agent.process.endings import DRAINED, FAILED, UNHEALTHY, Endings, log_deaths
from agent.process.fleet import Fleet
from agent.service import Reports
from agent.settings.load import Settings
from agent.telemetry import logs
from agent.telemetry.record import Snapshot
from agent.workers.messages import Counts, Serve, Unhealthy

logger = logging.getLogger(__name__)

_REPORTING: Final = 1.0
"""Seconds between reports."""


def main(inherited: int) -> int:
    """Serve what comes over the inherited socket; the exit status, which is that of the agent."""
    connection: Connection[object, object] = Connection(inherited)
    said = connection.recv()
    if not isinstance(said, Serve):
        raise TypeError(f"a helper was told {type(said).__name__} first")
    settings = said.settings
    logs.configure(settings.running.log_format, is_debugging=settings.running.debug)
    log_deaths()
    share_one_heap(c_library())
    endings = Endings(signals=())
    try:
        fleet = build_fleet(settings, endings)
    except (UnusableCredentials, OSError) as exc:
        logger.error("a worker cannot start: %s", exc)
        return 2
    fleet.start()
    threading.Thread(target=_listen, args=(connection, endings), name="first-worker", daemon=True).start()
    status = serve(fleet, endings, _Reports(connection, fleet), settings)
    logging.shutdown()
    # The threads of what is unfinished would keep the interpreter waiting.
    os._exit(status)


def build_fleet(settings: Settings, endings: Endings) -> Fleet:
    """What serves all backends. Raises `UnusableCredentials`, and `OSError` for files that are not there."""
    reports = Reports(
        drained=partial(endings.report, DRAINED),
        died=partial(endings.report, FAILED),
        unhealthy=partial(endings.report, UNHEALTHY),
    )
    build = [partial(build_service, agent, settings.google, is_alone=False) for agent in settings.agents]
    return Fleet(build, reports)


def serve(fleet: Fleet, endings: Endings, reports: "_Reports", settings: Settings) -> int:
    """Serve until something ends it; the exit status."""
    giving_back = GivingBack(c_library())
    while (ending := endings.wait(_REPORTING)) is None:
        reports.send_counts()
        giving_back.look()
    if ending == FAILED:
        return 1
    if ending == UNHEALTHY:
        reports.send(Unhealthy())
    is_drained = drain(fleet, endings, limit=settings.running.graceful_shutdown_timeout)
    reports.send_counts()
    return 0 if is_drained and ending != UNHEALTHY else 1


class _Reports:
    """What goes to the first worker; that it is gone is for `_listen` to see."""

    def __init__(self, connection: "Connection[object, object]", fleet: Fleet) -> None:
        self._connection = connection
        self._fleet = fleet
        self._sent: tuple[object, ...] = ()

    def send_counts(self) -> None:
        """Send the counts, if anything has changed since."""
        snapshots = tuple(served.record.snapshot() for served in self._fleet.served)
        counted = tuple(_counted(snapshot) for snapshot in snapshots)
        if counted != self._sent:
            self._sent = counted
            self.send(Counts(snapshots))

    def send(self, message: object) -> None:
        try:
            self._connection.send(message)
        except OSError as exc:
            logger.debug("the first worker is gone: %s", exc)


def _counted(snapshot: Snapshot) -> object:
    """What makes a snapshot another one; ages alone do not."""
    counts = (snapshot.in_flight, snapshot.exchanges, snapshot.polls_answered, snapshot.polls_failed)
    return counts, snapshot.poll_failure, snapshot.unhealthy, snapshot.is_draining, snapshot.retries


def _listen(connection: "Connection[object, object]", endings: Endings) -> None:
    """Whatever the first worker says after the beginning ends this one, and so does its own end."""
    try:
        while True:
            connection.recv()
            endings.report(signal.SIGTERM)
    except (EOFError, OSError):
        endings.report(signal.SIGTERM)
