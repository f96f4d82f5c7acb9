"""The composition root: what the settings ask for, put together. Nothing is called yet but for a first token."""

import random
import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from agent.backend_client import BackendClient
from agent.crew import Crew
from agent.exchanges import Exchanges
from agent.health.check import build_check
from agent.health.watch import HealthWatch
from agent.hygiene import RequestRules
from agent.identity.credentials import Credentials
from agent.identity.opening import open_credentials
from agent.messages import Request, Response
from agent.pipeline import Handler, Wrapper, build_pipeline
from agent.poller import Poller
from agent.proxy.client import AgentIdentity, ProxyClient
from agent.proxy.conversation import Conversation
from agent.routing import Routes
from agent.seen import SeenIds
from agent.service import Part, Reports, Service
from agent.settings.backend import BackendSettings
from agent.settings.google import GoogleEnvironment
from agent.settings.load import VERSION, AgentSettings
from agent.settings.proxy import ProxySettings
from agent.settings.sessions import SessionSettings
from agent.slots import yielding
from agent.telemetry.observer import Observer
from agent.telemetry.record import BackendRecord, ServedBackend
from agent.together import Together
from agent.transport.client import HttpClient
from agent.transport.connections import ConnectionPool
from agent.transport.tls import Tls
from agent.transport.upgrading import Changed, call_upgrading
from agent.tunnels.assembly import HANDSHAKE_SECONDS, assemble_tunnels

_SEEN_IDS: Final = 10_000
_CONNECT_SECONDS: Final = 10.0
_USER_AGENT: Final = f"inverting-proxy-agent/{VERSION}"


def build_service(
    settings: AgentSettings, google: GoogleEnvironment, reports: Reports, *, is_alone: bool = True
) -> Service:
    """What serves one backend; not `is_alone` where another process does so too, which a proxy has to know of."""
    record = BackendRecord(settings.proxy.backend, now=time.monotonic)
    # One connection for each exchange, and one for the poll.
    proxy = build_proxy(
        settings.proxy,
        google,
        connections=settings.backend.concurrency + 1,
        takes_upgrades=settings.websockets.takes_upgrades,
        observer=record,
    )
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
        shim=build_shim(settings, backends, record, parts),
        tunnels=build_tunnels(settings, proxy, backends, record, parts),
        pages=build_pages(settings),
        sessions=build_sessions(settings.sessions),
    )
    seen = SeenIds(_SEEN_IDS)
    crew = Crew("exchange")
    conversation = Conversation(proxy, crew=crew, needs_version_2=not is_alone, observer=record)
    exchanges = Exchanges(conversation, handler, forget=seen.discard, observer=record)
    proxy.polls.on_gone = exchanges.give_up
    together = Together(
        lambda request: backends.choose(request.head.target).begin(request),
        rules,
        handler=handler,
        exchanges=exchanges,
        gather=conversation.gather,
        crew=crew,
    )
    poller = Poller(
        conversation,
        exchanges.run,
        seen=seen,
        concurrency=settings.backend.concurrency,
        jitter=random.random,
        on_drained=reports.drained,
        on_death=reports.died,
        observer=record,
        crew=crew,
        run_together=together.run if is_direct(settings) else None,
    )
    return Service(
        poller,
        served=ServedBackend(record, settings.backend.host, lambda: poller.is_working),
        watch=build_watch(settings, poller, record, reports),
        parts=parts,
    )


def is_direct(settings: AgentSettings) -> bool:
    """True if nothing but the rules for header fields stands between proxy and backend."""
    changes_pages = settings.banner.inject_banner or settings.websockets.shim_websockets
    return not (changes_pages or settings.websockets.path or settings.sessions.session_cookie_name)


def build_proxy(
    settings: ProxySettings,
    google: GoogleEnvironment,
    *,
    connections: int,
    takes_upgrades: bool,
    observer: Observer,
) -> ProxyClient:
    """The proxy as the agent calls it."""
    outbound = google.outbound.choose(settings.proxy)
    is_relayed = outbound is not None and settings.proxy.startswith("http:")
    pool = ConnectionPool(
        settings.proxy,
        size=connections,
        connect_timeout=_CONNECT_SECONDS,
        tls=Tls(ca_file=_text(settings.proxy_ca_file)),
        outbound=outbound,
    )
    return ProxyClient(
        HttpClient(pool),
        url=settings.proxy,
        identity=AgentIdentity(settings.backend, secrets.token_urlsafe(16), _USER_AGENT),
        credentials=build_credentials(settings, google),
        poll_limit=settings.poll_limit,
        jitter=random.random,
        sleep=threading.Event().wait,
        outbound=outbound,
        observer=observer,
        # What relays plain HTTP seldom lets a connection upgrade.
        change=partial(call_upgrading, pool) if takes_upgrades and not is_relayed else None,
    )


def build_credentials(settings: ProxySettings, google: GoogleEnvironment) -> Credentials:
    """What `--credentials` names, tried once. Raises `UnusableCredentials`."""
    return open_credentials(
        settings.credentials,
        proxy_url=settings.proxy,
        machine=google.machine,
        oidc_audience=settings.oidc_audience,
        iap_client_id=settings.iap_client_id,
        shows_vm=not settings.disable_gce_vm_header,
        choose_proxy=google.outbound.choose,
        ca_file=google.ca_file,
    )


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


def build_watch(settings: AgentSettings, poller: Poller, observer: Observer, reports: Reports) -> HealthWatch | None:
    """What has the poller pause while the backend is not healthy; None without health checks."""
    health = settings.health
    if not health.health_check_interval_seconds:
        return None
    # Not over the connections of requests: a check must not wait for those that it asks about.
    backend = build_backend(settings.backend, settings.backend.host, connections=1, limit=health.health_check_timeout)
    return HealthWatch(
        build_check(backend, host=backend.host, path=health.health_check_path, user_agent=_USER_AGENT),
        poller,
        interval=health.health_check_interval_seconds,
        threshold=max(1, health.health_check_unhealthy_threshold),
        report=observer.health_changed,
        on_unhealthy=reports.unhealthy if health.exit_when_unhealthy else _do_nothing,
        on_death=reports.died,
    )


def build_sessions(settings: SessionSettings) -> Wrapper | None:
    """What keeps the backend's cookies; None if they go to the browser."""
    if not settings.session_cookie_name:
        return None
    from agent.sessions.handler import SessionCookie, Sessions
    from agent.sessions.store import SessionStore

    timeout = settings.session_cookie_timeout
    sessions = Sessions(
        SessionCookie(settings.session_cookie_name, timeout, is_secure=not settings.disable_ssl_for_test),
        SessionStore(timeout=timeout, capacity=settings.session_cookie_cache_limit, now=_utc_now),
        passthrough=settings.session_cookie_passthrough,
        now=_utc_now,
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
    proxy: ProxyClient,
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
        assembled = assemble_tunnels(
            inner, around=around, change=change, open_tunnel=proxy.open_tunnel, observer=observer
        )
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


def _do_nothing() -> None:
    """The backend may be well again."""


def _utc_now() -> datetime:
    return datetime.now(UTC)
