"""The composition root: what the settings ask for, put together. Nothing is called yet."""

import random
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent.backend_client import BackendClient
from agent.exchanges import Exchanges
from agent.identity.credentials import Combined, Credentials, NoCredentials, TokenFile
from agent.identity.vm import VmIdentity
from agent.pipeline import build_pipeline
from agent.poller import Poller
from agent.proxy.client import AgentIdentity, ProxyClient
from agent.seen import SeenIds
from agent.settings.google import GoogleEnvironment
from agent.settings.load import VERSION, AgentSettings
from agent.settings.proxy import ProxySettings
from agent.transport.client import HttpClient
from agent.transport.connections import ConnectionPool

_SEEN_IDS: Final = 10_000
_CONNECT_SECONDS: Final = 10.0


def build_poller(settings: AgentSettings, google: GoogleEnvironment, on_drained: Callable[[], None]) -> Poller:
    """What serves one backend."""
    concurrency = settings.backend.concurrency
    proxy = ProxyClient(
        # One connection for each exchange, and one for the poll.
        HttpClient(ConnectionPool(settings.proxy.proxy, size=concurrency + 1, connect_timeout=_CONNECT_SECONDS)),
        url=settings.proxy.proxy,
        identity=AgentIdentity(settings.proxy.backend, secrets.token_urlsafe(16), f"inverting-proxy-agent/{VERSION}"),
        credentials=build_credentials(settings.proxy, google),
        poll_limit=settings.proxy.poll_limit,
        jitter=random.random,
        sleep=threading.Event().wait,
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
    """What `--credentials` names; with Google's also which VM this is."""
    if settings.credentials == "none":
        return NoCredentials()
    if settings.credentials != "google":
        return TokenFile(Path(settings.credentials.removeprefix("file:")))
    # google.auth takes a third of a second to import: only those pay who need it.
    from agent.identity.google import GoogleCredentials

    account = GoogleCredentials(google)
    if settings.disable_gce_vm_header:
        return account
    return Combined(account, VmIdentity(google.metadata_host, audience=settings.proxy, now=time.monotonic))
