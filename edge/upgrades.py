"""Requests that want another protocol, which nothing here carries yet."""

from typing import Final

from edge.errors import Failure, Refusal
from wire.headers import connection_options
from wire.http1 import RequestHead

UPGRADE_NOT_SUPPORTED: Final = Failure(
    status=501,
    reason="upgrade-not-supported",
    party="proxy",
    text="The proxy carries neither websockets nor tunnels: use plain HTTP requests.",
)


def refuse_upgrade(head: RequestHead) -> None:
    """Raises `Refusal` for CONNECT and for the opening of a websocket.

    Any other offer to upgrade (some clients offer `h2c` with each request) may be ignored (RFC 9110 section 7.8); a
    websocket's client can do nothing with the answer to a plain GET.
    """
    wanted = {protocol.strip().lower() for value in head.headers.get_all("Upgrade") for protocol in value.split(",")}
    if head.method == "CONNECT" or ("upgrade" in connection_options(head.headers) and "websocket" in wanted):
        raise Refusal(UPGRADE_NOT_SUPPORTED)
