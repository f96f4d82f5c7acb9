"""The composition root: what the settings ask for, put together. Nothing is called yet but for a first token."""

import random
import secrets
import threading
import time
from datetime import UTC, datetime
from functools import partial
from typing import Final

from agent.crew import Crew
from agent.exchanges import Exchanges
from agent.handling import build_backend, build_handling
from agent.health.check import build_check
from agent.health.watch import HealthWatch
from agent.identity.credentials import Credentials
from agent.identity.opening import open_credentials
from agent.poller import Poller
from agent.proxy.client import AgentIdentity, ProxyClient
from agent.proxy.conversation import Conversation
from agent.seen import SeenIds
from agent.service import Reports, Service
from agent.settings.google import GoogleEnvironment
from agent.settings.load import VERSION, AgentSettings
from agent.settings.proxy import ProxySettings
from agent.telemetry.observer import Observer
from agent.telemetry.record import BackendRecord, ServedBackend
from agent.together import Together
from agent.transport.client import HttpClient
from agent.transport.connections import ConnectionPool
from agent.transport.tls import Tls
from agent.transport.upgrading import call_upgrading

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
    handling = build_handling(settings, open_tunnel=proxy.open_tunnel, observer=record, now=lambda: datetime.now(UTC))
    seen = SeenIds(_SEEN_IDS)
    crew = Crew("exchange")
    conversation = Conversation(proxy, crew=crew, needs_version_2=not is_alone, observer=record)
    exchanges = Exchanges(conversation, handling.handler, forget=seen.discard, observer=record)
    proxy.polls.on_gone = exchanges.give_up
    together = Together(
        lambda request: handling.backends.choose(request.head.target).begin(request),
        handling.rules,
        handler=handling.handler,
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
        run_together=together.run if handling.is_direct else None,
    )
    return Service(
        poller,
        served=ServedBackend(record, settings.backend.host, lambda: poller.is_working),
        watch=build_watch(settings, poller, record, reports),
        parts=handling.parts,
    )


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
        tls=Tls(ca_file=str(settings.proxy_ca_file) if settings.proxy_ca_file else None),
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


def _do_nothing() -> None:
    """The backend may be well again."""
