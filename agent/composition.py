"""The composition root: what the settings ask for, put together. Nothing is called yet but for a first token."""

import random
import secrets
import threading
from collections.abc import Callable
from typing import Final

from agent.backend_client import BackendClient
from agent.exchanges import Exchanges
from agent.identity.credentials import Credentials
from agent.identity.opening import open_credentials
from agent.pipeline import build_pipeline
from agent.poller import Poller
from agent.proxy.client import AgentIdentity, ProxyClient
from agent.seen import SeenIds
from agent.settings.google import GoogleEnvironment
from agent.settings.load import VERSION, AgentSettings
from agent.settings.proxy import ProxySettings
from agent.transport.client import HttpClient
from agent.transport.connections import ConnectionPool
from agent.transport.tls import Tls

_SEEN_IDS: Final = 10_000
_CONNECT_SECONDS: Final = 10.0


def build_poller(settings: AgentSettings, google: GoogleEnvironment, on_drained: Callable[[], None]) -> Poller:
    """What serves one backend."""
    concurrency = settings.backend.concurrency
    outbound = google.outbound.choose(settings.proxy.proxy)
    connections = ConnectionPool(
        settings.proxy.proxy,
        size=concurrency + 1,  # one for each exchange, and one for the poll
        connect_timeout=_CONNECT_SECONDS,
        tls=Tls(ca_file=str(settings.proxy.proxy_ca_file) if settings.proxy.proxy_ca_file else None),
        outbound=outbound,
    )
    proxy = ProxyClient(
        HttpClient(connections),
        url=settings.proxy.proxy,
        identity=AgentIdentity(settings.proxy.backend, secrets.token_urlsafe(16), f"inverting-proxy-agent/{VERSION}"),
        credentials=build_credentials(settings.proxy, google),
        poll_limit=settings.proxy.poll_limit,
        jitter=random.random,
        sleep=threading.Event().wait,
        outbound=outbound,
    )
    limit = settings.backend.forwarding_limit(settings.proxy.proxy_timeout)
    handler = build_pipeline(
        BackendClient(settings.backend.host, connections=concurrency, limit=limit),
        forwards_user_id=settings.backend.forward_user_id,
        strips_credentials=settings.backend.strip_credentials,
    )
    seen = SeenIds(_SEEN_IDS)
    return Poller(
        proxy.list_pending,
        Exchanges(proxy, handler, forget=seen.discard).run,
        seen=seen,
        concurrency=concurrency,
        jitter=random.random,
        on_drained=on_drained,
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
