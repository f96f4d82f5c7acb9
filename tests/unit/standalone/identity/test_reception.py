"""`standalone.identity.reception`: users whom nobody asks, and users whom a proxy in front has asked."""

import asyncio
from typing import Any

import pytest

from broker.errors import NotAllowed
from standalone.calls import REQUEST_EXTENSION, Call
from standalone.identity.fronts import Front
from standalone.identity.reception import FrontReception, Guest, PublicReception, Reception
from tests.fakes.clock import FakeClock
from wire.headers import Headers
from wire.http1 import RequestHead

FRONT, ELSEWHERE = "192.0.2.1", "203.0.113.9"


async def nothing(*_: Any) -> Any:
    raise AssertionError("nothing is read or sent")


def a_call(*fields: tuple[str, str], peer: str = FRONT) -> Call:
    head = RequestHead("GET", "/", Headers(fields), None)
    scope = {"extensions": {REQUEST_EXTENSION: {"head": head}}, "client": (peer, 1), "scheme": "http"}
    return Call(scope, nothing, nothing, clock=FakeClock())


def admit(reception: Reception, call: Call) -> Guest:
    guest = asyncio.run(reception.admit(call))
    assert guest is not None
    return guest


def behind_front(*allowed: str) -> FrontReception:
    listed = frozenset(allowed or ["allUsers"])
    return FrontReception(Front("X-User"), is_trusted=lambda peer: peer == FRONT, allowed=listed)


def test_in_public_everybody_is_a_stranger_whatever_he_says() -> None:
    call = a_call(("X-User", "ada@example.org"))

    assert admit(PublicReception(), call) == Guest("", call.head)


def test_a_user_is_whom_the_proxy_in_front_names_and_its_field_goes_no_further() -> None:
    guest = admit(behind_front(), a_call(("X-User", "ada@example.org"), ("x_user", "eve@example.org"), ("A", "b")))

    assert (guest.user, list(guest.head.headers)) == ("ada@example.org", [("A", "b")])
    assert guest.hidden == "x-user"  # nor in trailers


def test_the_connection_counts_and_not_what_is_said_of_it() -> None:
    call = a_call(("X-User", "ada@example.org"), ("X-Forwarded-For", FRONT), peer=ELSEWHERE)

    with pytest.raises(NotAllowed):
        admit(behind_front(), call)


def test_only_some_users_may_be_let_in() -> None:
    call = a_call(("X-User", "ada@example.org"))

    assert admit(behind_front("@example.org"), call).user == "ada@example.org"
    with pytest.raises(NotAllowed) as caught:
        admit(behind_front("eve@example.org"), call)
    assert caught.value.authenticated
