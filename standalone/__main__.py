"""`python -m standalone`: settings → store → doors → server."""

import asyncio
import secrets
import socket
import sys

import uvloop

from broker.clock import SystemClock
from edge.identity import OpenIdentity
from edge.logs import configure_logging
from edge.settings import SettingsError
from standalone.app import create_asgi
from standalone.lifecycle import ListenError, ProxyServer, configure, listen, url_of
from standalone.server import Limits, ProxyProtocol
from standalone.settings import Settings
from stores.memory import MemoryStore
from wire.protocol import RequestId

EVERYWHERE = (
    "WARNING: other machines can reach this address, and nothing asks them who they are: each can read and answer "
    "the requests of all."
)


def main() -> int:
    """Serve until a signal comes. The exit status: 0 after a stop that was asked for, 1 for an address that cannot be
    listened on, 2 for settings that cannot be used."""
    try:
        settings = Settings.from_arguments(sys.argv[1:])
        listener = listen(settings.host, settings.port)
    except SettingsError as exc:
        print(exc, file=sys.stderr)
        return 2
    except ListenError as exc:
        print(exc, file=sys.stderr)
        return 1
    configure_logging("text")
    if settings.is_reachable_from_elsewhere:
        print(EVERYWHERE, file=sys.stderr, flush=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, listener))
    return 0


async def serve(settings: Settings, listener: socket.socket) -> None:
    """Serve on a listener until a signal comes."""
    app = create_asgi(
        store=MemoryStore(settings.policy),
        clock=SystemClock(),
        policy=settings.policy,
        identity=OpenIdentity(),
        new_id=lambda: RequestId(secrets.token_urlsafe(16)),
    )
    url = url_of(listener)

    class Protocol(ProxyProtocol):
        limits = Limits(write_time=settings.policy.idle_wait.total_seconds())

    server = ProxyServer(
        configure(app, Protocol),
        on_listening=lambda: print(f"Listening on {url} - OPEN: no passwords, for users or agents", flush=True),
        stop=lambda: app.stop(settings.stop_wait),
    )
    await server.serve([listener])


if __name__ == "__main__":
    sys.exit(main())
