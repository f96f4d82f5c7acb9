"""What the proxy made of the call for a tunnel."""

import socket
from collections.abc import Iterator

import pytest

from agent.messages import whole_body
from agent.proxy.errors import Gone, NotAProxy, ProxyError, ProxyUnavailable
from agent.transport.upgrading import Changed
from agent.tunnels.opening import open_tunnel
from wire.headers import Headers
from wire.http1 import End, RequestHead, ResponseHead
from wire.upgrades import upgrade_fields

HEAD = RequestHead("GET", "/agent/tunnel", Headers(), None)


class Answer:
    """An answer of the proxy's that is no 101."""

    def __init__(self, status: int) -> None:
        self.head = ResponseHead(status, Headers(), None)
        self.is_closed = False

    def events(self) -> Iterator[bytes | End]:
        return whole_body(b"")

    def close(self) -> None:
        self.is_closed = True


def test_a_101_to_our_protocol_is_the_tunnel() -> None:
    near, far = socket.socketpair()
    changed = Changed(Headers(upgrade_fields("Inverting-Proxy-Tunnel")), near, b"")

    assert open_tunnel(HEAD, lambda head, limit: changed) is changed
    near.close()
    far.close()


def test_a_101_to_another_protocol_is_none() -> None:
    near, far = socket.socketpair()

    with pytest.raises(NotAProxy, match="another protocol"):
        open_tunnel(HEAD, lambda head, limit: Changed(Headers(upgrade_fields("websocket")), near, b""))
    assert near.fileno() == -1
    far.close()


@pytest.mark.parametrize(
    ("status", "error"), [(404, Gone), (409, Gone), (503, ProxyUnavailable), (400, ProxyError), (200, NotAProxy)]
)
def test_any_other_answer_says_why_there_is_none(status: int, error: type[ProxyError]) -> None:
    answer = Answer(status)

    with pytest.raises(error):
        open_tunnel(HEAD, lambda head, limit: answer)  # type: ignore[arg-type,return-value]
    assert answer.is_closed
