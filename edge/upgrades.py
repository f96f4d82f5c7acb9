"""Requests that want another protocol on their connection: which are carried, and what a handshake has to say."""

import base64
import binascii
from typing import Final

from edge.errors import Failure, Refusal
from wire.errors import MalformedMessage
from wire.http1 import RequestHead
from wire.upgrades import WEBSOCKET, wanted_protocols

UPGRADE_NOT_SUPPORTED: Final = Failure(
    status=501,
    reason="upgrade-not-supported",
    party="proxy",
    text="The proxy carries no such connection here: use plain HTTP requests; for websockets the agent's shim "
    "(--shim-websockets), or a stand-alone proxy, which carries them.",
)
NO_TUNNELS: Final = Failure(
    status=501,
    reason="upgrade-not-supported",
    party="client",
    text="The proxy opens no tunnels to other hosts (CONNECT): send it plain HTTP requests.",
)
NO_WEBSOCKETS: Final = Failure(
    status=501,
    reason="upgrade-not-supported",
    party="agent",
    text="None of the backend's agents carries websockets: start a newer agent, or tell the proxy where its shim is.",
)
WRONG_VERSION: Final = Failure(
    status=426,
    reason="websocket-version",
    party="client",
    text="The client speaks another version of websockets than 13: use that one.",
    headers=(("Sec-WebSocket-Version", "13"),),
)
NO_TUNNEL_WANTED: Final = Failure(
    status=400,
    reason="no-upgrade",
    party="agent",
    text="This path opens a tunnel for a request that wants to upgrade: offer that, over HTTP/1.1, for such a request.",
)


def refuse_upgrade(head: RequestHead) -> None:
    """Raises `Refusal` for CONNECT and for the opening of a websocket.

    Any other offer to upgrade (some clients offer `h2c` with each request) may be ignored (RFC 9110 section 7.8); a
    websocket's client can do nothing with the answer to a plain GET.
    """
    refuse_connect(head)
    if wants_websocket(head):
        raise Refusal(UPGRADE_NOT_SUPPORTED)


def refuse_connect(head: RequestHead) -> None:
    """Raises `Refusal` for CONNECT."""
    if head.method == "CONNECT":
        raise Refusal(NO_TUNNELS)


def wants_websocket(head: RequestHead) -> bool:
    """True for the opening of a websocket, whether or not it is as it has to be."""
    return WEBSOCKET in wanted_protocols(head.headers)


def require_handshake(head: RequestHead, *, can_change: bool) -> None:
    """Check the opening of a websocket (RFC 6455 section 4.2.1); `can_change` says whether its connection can.

    Raises `MalformedMessage`, and `Refusal` (426) for another version.
    """
    if head.method != "GET" or not can_change:
        raise MalformedMessage("a websocket is opened by a GET of HTTP/1.1")
    if head.headers.get_all("Sec-WebSocket-Version") != ["13"]:
        raise Refusal(WRONG_VERSION)
    keys = head.headers.get_all("Sec-WebSocket-Key")
    if len(keys) != 1 or not _is_key(keys[0]):
        raise MalformedMessage("Sec-WebSocket-Key: not one of 16 bytes in base64")


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text.encode("latin-1"), validate=True)) == 16
    except (binascii.Error, ValueError):
        return False
