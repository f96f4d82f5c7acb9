"""`python -m standalone`: settings → parts → server."""

import asyncio
import os
import sys

import uvloop

from edge.logs import configure_logging
from edge.settings import SettingsError
from standalone.composition import create_app, keep_alive_of, protocol_of
from standalone.lifecycle import Listener, ListenError, ProxyServer, configure, listen
from standalone.settings.load import Settings, load_settings
from standalone.summary import summary_of

EVERYWHERE = (
    "WARNING: other machines can reach this address, and nothing asks them who they are: each can read and answer "
    "the requests of all."
)


def main() -> int:
    """Serve until a signal comes. The exit status: 0 after a stop that was asked for, 1 for an address that cannot be
    listened on, 2 for settings that cannot be used."""
    try:
        settings = load_settings(sys.argv[1:], os.environ)
        if settings.only_checks:
            print(summary_of(settings))
            return 0
        listeners = [listen(address) for address in settings.listen.users]
    except SettingsError as exc:
        print(exc, file=sys.stderr)
        return 2
    except ListenError as exc:
        print(exc, file=sys.stderr)
        return 1
    configure_logging(settings.log.format, level=settings.log.least)
    if not all(address.is_local for address in settings.listen.users):
        print(EVERYWHERE, file=sys.stderr, flush=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, listeners))
    return 0


async def serve(settings: Settings, listeners: list[Listener]) -> None:
    """Serve on listeners until a signal comes."""
    app = create_app(settings)
    server = ProxyServer(
        configure(app, protocol_of(settings), keep_alive=keep_alive_of(settings)),
        listeners=listeners,
        on_listening=lambda: announce(listeners),
        stop=lambda: app.stop(settings.timeouts.shutdown),
    )
    await server.serve()


def announce(listeners: list[Listener]) -> None:
    """Say where the proxy listens; the first line is for programs, too."""
    for listener in listeners:
        print(f"Listening on {listener.url} - OPEN: no passwords, for users or agents", flush=True)


if __name__ == "__main__":
    sys.exit(main())
