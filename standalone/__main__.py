"""`python -m standalone`: settings → parts → server."""

import asyncio
import gc
import os
import sys
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from typing import Final

import uvloop

from broker.clock import SystemClock
from broker.registrations import Registrations
from edge.logs import configure_logging
from edge.settings import SettingsError
from standalone.advice import warnings_of
from standalone.composition import check_places, create_server, open_listeners
from standalone.connections.listeners import Listener, ListenError
from standalone.doors.dispatch import Entrance
from standalone.files import Files, open_files
from standalone.process import descriptors
from standalone.process.allocation import c_library, keep_freed_memory
from standalone.process.service_manager import notify
from standalone.settings.load import Settings, load_settings
from standalone.settings.places import naming
from standalone.storage import check_database, open_registrations
from standalone.summary import summary_of

GARBAGE_THRESHOLD: Final = 10_000
"""So many more objects made than dropped, and the collector looks for cycles (Python: 700)."""


def main() -> int:
    """Serve until a signal comes. The exit status: 0 after a stop that was asked for, 1 for an address that cannot be
    listened on, 2 for settings that cannot be used."""
    try:
        settings = load_settings(sys.argv[1:], os.environ)
        with naming(settings.places):
            (check if settings.only_checks else serve)(settings)
    except SettingsError as exc:
        print(exc, file=sys.stderr)
        return 2
    except ListenError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


def check(settings: Settings) -> None:
    """Say what they mean, and what would be in the way of the start. Raises `SettingsError` and `ListenError`."""
    open_files(settings)
    check_database(settings)
    check_places(settings)
    print(summary_of(settings))
    warn(settings, descriptors.allow_all())


def serve(settings: Settings) -> None:
    """Serve until a signal comes. Raises `SettingsError` and `ListenError`."""
    files = open_files(settings)
    with closing(open_registrations(settings)) as registrations:
        run(settings, files, open_listeners(settings, files), registrations)


def run(
    settings: Settings, files: Files, listeners: Mapping[Listener, Entrance | None], registrations: Registrations
) -> None:
    """Serve with what is open, in a process that is made fit for it."""
    allowed = descriptors.allow_all()
    keep_freed_memory(c_library())
    configure_logging(settings.log.format, level=settings.log.least)
    warn(settings, allowed)

    async def run_server() -> None:
        tell = partial(notify, os.environ.get("NOTIFY_SOCKET", ""))
        await create_server(settings, files, listeners, registrations, notify=tell).serve()

    # What there is by now stays, and requests leave few cycles behind: they are looked for seldom, and among the new.
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_server())


def warn(settings: Settings, allowed: int) -> None:
    """Say what an operator should know, where so many descriptors are allowed."""
    for warning in warnings_of(settings, now=SystemClock().now(), descriptors=allowed):
        print(f"WARNING: {warning}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
