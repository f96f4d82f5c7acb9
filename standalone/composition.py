"""From settings to the parts of the proxy."""

import math
import secrets
from datetime import timedelta

from broker.clock import SystemClock
from broker.policy import Policy
from edge.identity import OpenIdentity
from standalone.app import StandaloneApp, create_asgi
from standalone.server import Limits, ProxyProtocol
from standalone.settings.load import Settings
from stores.memory import MemoryStore
from wire.protocol import RequestId


def policy_of(settings: Settings) -> Policy:
    """The numbers that the rules use."""
    timeouts = settings.timeouts
    return Policy(
        list_wait=timeouts.list,
        offer_lease=timeouts.offer,
        fetch_wait=min(timeouts.fetch, timeouts.response),
        response_wait=timeouts.response,
        idle_wait=timeouts.idle,
        backend_online=2 * timeouts.list + timedelta(seconds=15),
        max_body_bytes=settings.limits.body_bytes,
    )


def create_app(settings: Settings) -> StandaloneApp:
    """The application. To be called in the event loop that will serve it."""
    policy = policy_of(settings)
    limits = settings.limits
    return create_asgi(
        store=MemoryStore(policy, window=limits.window_bytes, capacity=limits.exchanges),
        clock=SystemClock(),
        policy=policy,
        identity=OpenIdentity(),
        new_id=lambda: RequestId(secrets.token_urlsafe(16)),
    )


def protocol_of(settings: Settings) -> type[ProxyProtocol]:
    """What reads and writes connections, within the limits that are set."""
    timeouts = settings.timeouts

    class Protocol(ProxyProtocol):
        limits = Limits(
            head_bytes=settings.limits.head_bytes,
            head_time=timeouts.head.total_seconds(),
            write_time=(timeouts.write or timeouts.idle).total_seconds(),
            linger_time=timeouts.linger.total_seconds(),
            connections=settings.limits.connections,
            pipeline=settings.limits.pipeline,
        )

    return Protocol


def keep_alive_of(settings: Settings) -> int:
    """Seconds for which a connection stays open without a request."""
    return math.ceil(settings.timeouts.keep_alive.total_seconds())
