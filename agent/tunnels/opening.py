"""The tunnel to the proxy: a connection of the agent's own, on which the proxy answers 101."""

from collections.abc import Callable
from contextlib import closing
from typing import Final

from agent.proxy.errors import NotAProxy, require_success
from agent.transport.client import Reply
from agent.transport.upgrading import Changed
from wire.http1 import RequestHead
from wire.protocol import TUNNEL_PROTOCOL
from wire.upgrades import wanted_protocols

_SILENCE: Final = 15.0
"""Seconds that the proxy may take to answer: behind it a user waits."""


def open_tunnel(head: RequestHead, change: Callable[..., Reply | Changed]) -> Changed:
    """The tunnel that a call to the proxy asks for; `change` is `call_upgrading`, over the connections to the proxy.

    Raises `Gone` when nobody waits for it, and otherwise `ProxyError` and `TransportError`.
    """
    outcome = change(head, limit=_SILENCE)
    if isinstance(outcome, Changed):
        if TUNNEL_PROTOCOL not in wanted_protocols(outcome.headers):
            outcome.sock.close()
            raise NotAProxy("the proxy answered the call for a tunnel with another protocol")
        return outcome
    with closing(outcome):
        require_success(outcome.head, target=head.target)
    raise NotAProxy("the proxy opened no tunnel: is there a server before it that does not let connections upgrade?")
