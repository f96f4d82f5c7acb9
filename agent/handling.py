"""What answers the requests of one backend: its servers, and the handlers that the settings ask for around them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from agent.backend_client import BackendClient
from agent.hygiene import RequestRules
from agent.messages import Request, Response
from agent.pipeline import Handler, Wrapper, build_pipeline
from agent.routing import Routes
from agent.service import Part
from agent.settings.backend import BackendSettings
from agent.settings.load import AgentSettings
from agent.settings.sessions import SessionSettings
from agent.slots import yielding
from agent.telemetry.observer import Observer
from agent.transport.tls import Tls
from agent.transport.upgrading import Changed
from agent.tunnels.assembly import HANDSHAKE_SECONDS, assemble_tunnels
from agent.tunnels.handler import Open


@dataclass(frozen=True, slots=True)
class Handling:
    """What answers requests."""

    handler: Handler
    rules: RequestRules
    backends: Routes[BackendClient]
    parts: Sequence[Part]
    """What works beside it."""
    is_direct: bool
    """True if nothing but the rules for header fields stands between proxy and backend."""


def build_handling(
    settings: AgentSettings, *, open_tunnel: Open, observer: Observer, now: Callable[[], datetime]
) -> Handling:
    """What the settings ask for; `open_tunnel` gives websockets their way to the proxy."""
    backends = build_backends(settings)
    rules = RequestRules(
        forwards_user_id=settings.backend.forward_user_id,
        strips_credentials=settings.backend.strip_credentials,
        forwarded_headers=settings.backend.forwarded_headers,
        users_scheme=settings.proxy.proxy.partition(":")[0],
        added=settings.backend.request_header,
    )
    parts: list[Part] = []
    handler = build_pipeline(
        lambda request: backends.choose(request.head.target)(request),
        rules=rules,
        shim=build_shim(settings, backends, observer, parts),
        tunnels=build_tunnels(settings, open_tunnel, backends, observer, parts),
        pages=build_pages(settings),
        sessions=build_sessions(settings.sessions, now=now),
    )
    return Handling(handler, rules, backends, parts, is_direct(settings))


def is_direct(settings: AgentSettings) -> bool:
    """True if nothing but the rules for header fields stands between proxy and backend."""
    changes_pages = settings.banner.inject_banner or settings.websockets.shim_websockets
    return not (changes_pages or settings.websockets.path or settings.sessions.session_cookie_name)


def build_backends(settings: AgentSettings) -> Routes[BackendClient]:
    """The backend, and those that have some of its paths."""
    limit = settings.backend.forwarding_limit(settings.proxy.proxy_timeout)
    build = partial(build_backend, settings.backend, connections=settings.backend.concurrency, limit=limit)
    return Routes(
        [(prefix, build(url)) for prefix, url in settings.backend.path_map], otherwise=build(settings.backend.host)
    )


def build_backend(settings: BackendSettings, url: str, *, connections: int, limit: timedelta | None) -> BackendClient:
    """One server of the backend."""
    return BackendClient(
        url,
        connections=connections,
        limit=limit,
        tls=_tls_of(settings),
        is_http2=settings.force_http2,
        host_header=settings.host_header,
    )


def build_sessions(settings: SessionSettings, *, now: Callable[[], datetime]) -> Wrapper | None:
    """What keeps the backend's cookies; None if they go to the browser."""
    if not settings.session_cookie_name:
        return None
    from agent.sessions.handler import SessionCookie, Sessions
    from agent.sessions.store import SessionStore

    timeout = settings.session_cookie_timeout
    sessions = Sessions(
        SessionCookie(settings.session_cookie_name, timeout, is_secure=not settings.disable_ssl_for_test),
        SessionStore(timeout=timeout, capacity=settings.session_cookie_cache_limit, now=now),
        passthrough=settings.session_cookie_passthrough,
        now=now,
    )
    return sessions.around


def build_pages(settings: AgentSettings) -> list[Wrapper]:
    """What changes pages, the outermost first."""
    wrappers: list[Wrapper] = []
    if settings.banner.inject_banner:
        from agent.banner.handler import showing_banner

        wrappers.append(
            partial(
                showing_banner,
                banner=settings.banner.inject_banner,
                height=settings.banner.banner_height,
                favicon_url=settings.banner.favicon_url,
            )
        )
    if settings.websockets.shim_websockets:
        from agent.shim.injection import injecting
        from agent.shim.page.script import PageScript

        wrappers.append(partial(injecting, script=PageScript.for_path(settings.websockets.path).body))
    return wrappers


def build_shim(
    settings: AgentSettings, backends: Routes[BackendClient], observer: Observer, parts: list[Part]
) -> Callable[[Handler, Wrapper], Handler] | None:
    """What puts the shim around a handler, and adds it to `parts`; None where nobody asks for websockets."""
    if not settings.websockets.path:
        return None
    from agent.shim.assembly import assemble_shim
    from agent.shim.handler import ShimOptions
    from agent.shim.handshake import Endpoint

    def endpoint_of(target: str) -> Endpoint:
        client = backends.choose(target)
        return Endpoint(client.host, client.connect, rewrites_host=settings.websockets.rewrite_websocket_host)

    def shim(inner: Handler, around: Wrapper) -> Handler:
        assembled = assemble_shim(
            inner,
            options=ShimOptions(
                settings.websockets.path,
                settings.websockets.websocket_shim_timeout,
                settings.websockets.enable_websockets_injection,
            ),
            endpoint_of=endpoint_of,
            around=around,
            yielding=yielding,
            observer=observer,
        )
        parts.append(assembled)
        return assembled.shim

    return shim


def build_tunnels(
    settings: AgentSettings,
    open_tunnel: Open,
    backends: Routes[BackendClient],
    observer: Observer,
    parts: list[Part],
) -> Callable[[Handler, Wrapper], Handler] | None:
    """What puts the tunnels of websockets around a handler, and adds them to `parts`; None where nobody wants them."""
    if not settings.websockets.takes_upgrades:
        return None

    def change(request: Request) -> Response | Changed:
        return backends.choose(request.head.target).change(request, limit=HANDSHAKE_SECONDS)

    def tunnels(inner: Handler, around: Wrapper) -> Handler:
        assembled = assemble_tunnels(inner, around=around, change=change, open_tunnel=open_tunnel, observer=observer)
        parts.append(assembled)
        return assembled.handler

    return tunnels


def _tls_of(settings: BackendSettings) -> Tls:
    return Tls(
        ca_file=_text(settings.backend_ca_file),
        client_certificate=_text(settings.backend_client_certificate),
        client_key=_text(settings.backend_client_key),
        server_name=settings.backend_server_name or None,
        verifies=not settings.backend_insecure_skip_verify,
    )


def _text(path: Path | None) -> str | None:
    return str(path) if path else None
