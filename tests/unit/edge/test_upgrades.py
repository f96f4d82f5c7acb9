"""`edge.upgrades`: what cannot work is refused, what may be ignored is ignored."""

import pytest

from edge.errors import Refusal
from edge.upgrades import UPGRADE_NOT_SUPPORTED, refuse_upgrade
from wire.headers import Headers
from wire.http1 import RequestHead


def head(method: str = "GET", *pairs: tuple[str, str]) -> RequestHead:
    return RequestHead(method, "/", Headers(pairs), None)


@pytest.mark.parametrize(
    "refused",
    [
        head("CONNECT"),
        head("GET", ("Connection", "Upgrade"), ("Upgrade", "websocket")),
        head("GET", ("connection", "keep-alive, upgrade"), ("UPGRADE", "h2c, WebSocket")),
    ],
)
def test_tunnels_and_websockets_are_refused(refused: RequestHead) -> None:
    with pytest.raises(Refusal) as caught:
        refuse_upgrade(refused)
    assert caught.value.failure == UPGRADE_NOT_SUPPORTED


@pytest.mark.parametrize(
    "ignored",
    [
        head(),
        head("GET", ("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c")),
        head("GET", ("Upgrade", "websocket")),
    ],
)
def test_other_offers_are_ignored(ignored: RequestHead) -> None:
    refuse_upgrade(ignored)
    assert ignored.method == "GET"
