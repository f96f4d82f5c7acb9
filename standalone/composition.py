"""From settings to the parts of the proxy."""

import math
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from broker.clock import SystemClock
from broker.policy import Policy
from broker.registrations import Registrations
from edge.identity import Identity
from standalone.app import StandaloneApp, create_asgi
from standalone.connections.crowd import Crowd, is_of_this_machine
from standalone.connections.lifecycle import ProxyServer, configure
from standalone.connections.limits import Limits
from standalone.connections.listeners import Listener, ListenError, listen, require_place
from standalone.connections.server import ProxyProtocol
from standalone.doors.administrators import Administrators
from standalone.doors.dispatch import Door, Entrance
from standalone.doors.entrances import entrances_of
from standalone.doors.redirect import redirect_to_https
from standalone.files import Files
from standalone.identity.assembly import assemble
from standalone.peers import Peers
from standalone.process.allocation import GivingBack, c_library
from standalone.process.service_manager import READY, STOPPING
from standalone.settings.listen import UNIX
from standalone.settings.load import Settings
from standalone.summary import announcement_of
from stores.memory.store import MemoryStore
from wire.protocol import RequestId

if TYPE_CHECKING:
    from flask import Flask

UNREAD: Final = timedelta(minutes=15)
"""How long an answer may wait for its client, whom `standalone.connections.outflow` cuts off if he does not read: where
he does, room comes in steps of some hundred kilobytes."""


def policy_of(settings: Settings) -> Policy:
    """The numbers that the rules use."""
    timeouts = settings.timeouts
    return Policy(
        list_wait=timeouts.list,
        offer_lease=timeouts.offer,
        fetch_wait=timeouts.fetch,
        response_wait=timeouts.response,
        idle_wait=timeouts.idle,
        unread_wait=UNREAD,
        backend_online=2 * timeouts.list + timedelta(seconds=15),
        max_body_bytes=settings.limits.body_bytes,
        backend_exchanges=settings.limits.backend_exchanges,
        user_exchanges=settings.limits.user_exchanges,
        max_queue=settings.limits.queue,
    )


def create_app(
    settings: Settings, registrations: Registrations, *, chores: Iterable[Callable[[], None]] = ()
) -> StandaloneApp:
    """The application; `chores` are done every second. To be called in the event loop that will serve it."""
    policy = policy_of(settings)
    limits = settings.limits
    clock = SystemClock()
    peers = peers_of(settings)
    store = MemoryStore(
        policy,
        window=limits.window_bytes,
        memory=limits.memory_bytes,
        capacity=limits.exchanges,
        registrations=registrations,
    )
    access = assemble(settings, store=store, clock=clock, is_trusted=peers.is_trusted)

    def make_api(identity: Identity) -> "Flask":
        from api_service.app import create_app as create_api

        return create_api(
            store=store,
            clock=clock,
            identity=identity,
            policy=policy,
            trusts_cron_field=False,
            deletes_stale_backends=False,
            has_options=True,
        )

    return create_asgi(
        store=store,
        clock=clock,
        policy=policy,
        access=access,
        api=Administrators(admin=access.admin, make_app=make_api, policy=policy) if access.admin else None,
        new_id=lambda: RequestId(secrets.token_urlsafe(16)),
        peers=peers,
        body_rate=limits.body_rate,
        first_bytes=limits.window_bytes // 2 - 1024,
        chores=chores,
        websocket_idle=settings.timeouts.websocket_idle,
        websockets=limits.websockets,
    )


def peers_of(settings: Settings) -> Peers:
    """Whom to believe."""
    listen = settings.listen
    return Peers(listen.networks, trusts_unix=UNIX in listen.trusted_peers, fields=listen.forwarded)


def protocol_of(settings: Settings) -> type[ProxyProtocol]:
    """What reads and writes connections, within the limits that are set."""
    timeouts, counts = settings.timeouts, settings.limits
    is_trusted = peers_of(settings).is_trusted

    class Protocol(ProxyProtocol):
        limits = Limits(
            url_bytes=min(counts.url_bytes, counts.head_bytes),
            head_bytes=counts.head_bytes,
            head_fields=counts.head_fields,
            head_time=timeouts.head.total_seconds(),
            write_time=(timeouts.write or timeouts.idle).total_seconds(),
            linger_time=timeouts.linger.total_seconds(),
            read_rate=counts.read_rate,
            connections=counts.connections,
            connections_per_address=counts.connections_per_address,
            pipeline=counts.pipeline,
            requests=counts.requests_per_connection,
        )
        crowd = Crowd(lambda address: is_of_this_machine(address) or is_trusted(address))

    return Protocol


def open_listeners(settings: Settings, files: Files) -> dict[Listener, Entrance | None]:
    """The sockets, users' first, and the doors behind each; None for those that only lead to https.

    Raises `ListenError`.
    """
    listen_at = settings.listen
    tls = files.certificate.context if files.certificate else None
    listeners: dict[Listener, Entrance | None] = {}
    for address, entrance in entrances_of(settings):
        is_fronted = any(door.value in listen_at.proxy_protocol for door in entrance.doors)
        with _naming(next(door.value for door in Door if door in entrance.doors)):
            listeners[listen(address, tls=tls, is_fronted=is_fronted, mode=listen_at.socket_mode)] = entrance
    for address in listen_at.redirect:
        with _naming("redirect"):
            listeners[listen(address, is_fronted="redirect" in listen_at.proxy_protocol)] = None
    return listeners


def check_places(settings: Settings) -> None:
    """Raises `ListenError` for a unix socket that `open_listeners` could not make; listens nowhere."""
    for key, addresses in settings.listen.by_key.items():
        for address in addresses:
            with _naming(key):
                require_place(address)


@contextmanager
def _naming(key: str) -> Iterator[None]:
    """An address that cannot be listened on is named with its key of `[listen]`."""
    try:
        yield
    except ListenError as exc:
        raise ListenError(f"listen.{key}: {exc}") from exc


def create_server(
    settings: Settings,
    files: Files,
    listeners: Mapping[Listener, Entrance | None],
    registrations: Registrations,
    *,
    notify: Callable[[str], None] = lambda state: None,
) -> ProxyServer:
    """The server; `notify` tells a service manager where it stands. To be called in the event loop that will run it."""
    app = create_app(settings, registrations, chores=[files.look, GivingBack(c_library()).look])
    keep_alive = math.ceil(settings.timeouts.keep_alive.total_seconds())
    https_port = next((listener.port for listener in listeners if listener.tls), 443)
    redirect = redirect_to_https(SystemClock(), port=https_port, challenges=settings.listen.acme_folder)

    def reload() -> None:
        files.reload()
        app.read_again()

    def announce() -> None:
        # The first line is for programs, too; all come at once.
        lines = (f"{each.url} - {announcement_of(settings, entrance)}" for each, entrance in listeners.items())
        print("\n".join(f"Listening on {line}" for line in lines), flush=True)
        notify(READY)

    async def stop() -> None:
        notify(STOPPING)
        await app.stop(settings.timeouts.shutdown)

    return ProxyServer(
        configure(app, protocol_of(settings), keep_alive=keep_alive),
        apps={listener: app.at(entrance) if entrance else redirect for listener, entrance in listeners.items()},
        on_listening=announce,
        stop=stop,
        reload=reload,
        is_trusted=peers_of(settings).is_trusted,
    )
