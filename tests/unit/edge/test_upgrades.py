"""`edge.upgrades`: what cannot work is refused, what may be ignored is ignored."""

from collections.abc import Callable

import pytest

from edge.errors import Refusal
from edge.upgrades import (
    NO_TUNNELS,
    UPGRADE_NOT_SUPPORTED,
    WRONG_VERSION,
    refuse_connect,
    refuse_upgrade,
    require_handshake,
    wants_websocket,
)
from wire.errors import MalformedMessage
from wire.headers import Headers
from wire.http1 import RequestHead


def head(method: str = "GET", *pairs: tuple[str, str]) -> RequestHead:
    return RequestHead(method, "/", Headers(pairs), None)


@pytest.mark.parametrize(
    "refused",
    [
        head("GET", ("Connection", "Upgrade"), ("Upgrade", "websocket")),
        head("GET", ("connection", "keep-alive, upgrade"), ("UPGRADE", "h2c, WebSocket")),
    ],
)
def test_websockets_are_refused(refused: RequestHead) -> None:
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


UPGRADE = (("Connection", "Upgrade"), ("Upgrade", "websocket"))
VERSION = ("Sec-WebSocket-Version", "13")
KEY = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")


@pytest.mark.parametrize("refuse", [refuse_connect, refuse_upgrade])
def test_connect_is_refused_with_no_word_on_websockets(refuse: Callable[[RequestHead], None]) -> None:
    with pytest.raises(Refusal) as caught:
        refuse(head("CONNECT"))
    assert caught.value.failure == NO_TUNNELS


def test_connect_alone_is_refused_where_websockets_are_carried() -> None:
    refuse_connect(head("GET", *UPGRADE))
    assert wants_websocket(head("GET", *UPGRADE))


def test_the_handshake_of_the_standard_is_taken() -> None:
    opening = head("GET", *UPGRADE, VERSION, KEY)
    require_handshake(opening, can_change=True)

    assert wants_websocket(opening)
    assert not wants_websocket(head("GET", VERSION, KEY))


@pytest.mark.parametrize(
    ("opening", "can_change"),
    [
        (head("GET", *UPGRADE, VERSION, KEY), False),
        (head("POST", *UPGRADE, VERSION, KEY), True),
        (head("GET", *UPGRADE, VERSION), True),
        (head("GET", *UPGRADE, VERSION, KEY, KEY), True),
        (head("GET", *UPGRADE, VERSION, (KEY[0], "c2hvcnQ=")), True),
        (head("GET", *UPGRADE, VERSION, (KEY[0], "no base64, and long")), True),
        (head("GET", *UPGRADE, VERSION, (KEY[0], "\xe9")), True),
    ],
)
def test_a_handshake_that_is_not_whole_is_malformed(opening: RequestHead, can_change: bool) -> None:
    with pytest.raises(MalformedMessage):
        require_handshake(opening, can_change=can_change)


@pytest.mark.parametrize("versions", [[], ["8"], ["13", "13"], ["13, 8"]])
def test_another_version_is_told_which_one_is_spoken(versions: list[str]) -> None:
    fields = [(VERSION[0], version) for version in versions]
    with pytest.raises(Refusal) as caught:
        require_handshake(head("GET", *UPGRADE, *fields, KEY), can_change=True)
    assert caught.value.failure == WRONG_VERSION
