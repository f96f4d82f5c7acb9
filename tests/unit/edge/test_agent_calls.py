"""The header fields of an agent's calls."""

from collections.abc import Callable

import pytest

from edge.agent_calls import (
    agent_id_of,
    backend_id_of,
    request_fields,
    request_id_of,
    request_ids_of,
    takes_upgrades,
)
from tests.factories import an_exchange
from wire.errors import MalformedMessage
from wire.headers import Headers
from wire.protocol import AGENT_ID, BACKEND_ID, FORWARDED, FORWARDED_SET, REQUEST_ID, START_TIME, USER_ID

CALL = Headers([(BACKEND_ID.lower(), "jupyter"), (AGENT_ID, "a1"), (REQUEST_ID, "r1")])


def test_a_call_names_its_backend_its_agent_and_its_request() -> None:
    assert (backend_id_of(CALL), agent_id_of(CALL), request_id_of(CALL)) == ("jupyter", "a1", "r1")


def test_an_agent_need_not_name_itself() -> None:
    assert agent_id_of(CALL.without(AGENT_ID)) == ""


@pytest.mark.parametrize("value", ["", "two words", "x" * 257, "caf\xe9"])
def test_what_cannot_be_a_name_is_refused_with_the_name_of_the_field(value: str) -> None:
    headers = Headers([(BACKEND_ID, value), (AGENT_ID, value), (REQUEST_ID, value)])

    with pytest.raises(MalformedMessage, match=BACKEND_ID):
        backend_id_of(headers)
    with pytest.raises(MalformedMessage, match=AGENT_ID):
        agent_id_of(headers)
    with pytest.raises(MalformedMessage, match=REQUEST_ID):
        request_id_of(headers)


def test_a_fetch_may_name_several_requests() -> None:
    assert request_ids_of(Headers([(REQUEST_ID, "r1 r2")])) == {"r1", "r2"}


@pytest.mark.parametrize("value", ["", "a  b", "x" * 257, " ".join(map(str, range(101)))])
def test_a_fetch_of_none_or_of_more_than_a_batch_holds_is_refused(value: str) -> None:
    with pytest.raises(MalformedMessage, match=REQUEST_ID):
        request_ids_of(Headers([(REQUEST_ID, value)]))


@pytest.mark.parametrize("read", [backend_id_of, request_id_of])
def test_a_call_without_its_backend_or_its_request_is_refused(read: Callable[[Headers], str]) -> None:
    with pytest.raises(MalformedMessage, match="missing"):
        read(Headers())


def test_an_agent_is_told_the_user_and_the_time_of_a_request() -> None:
    exchange = an_exchange(end_user="ada@example.org")

    fields = request_fields(exchange)

    assert fields.get(USER_ID) == "ada@example.org"
    assert fields.get(REQUEST_ID) == exchange.request_id
    assert (fields.get(START_TIME) or "").endswith("Z")
    assert fields.get(FORWARDED) == FORWARDED_SET


def test_an_agent_is_told_nothing_of_a_user_who_is_not_known() -> None:
    assert USER_ID not in request_fields(an_exchange(end_user=""))


def test_a_request_that_wants_to_upgrade_says_so_beside_it() -> None:
    assert request_fields(an_exchange(upgrade="websocket")).get("X-Inverting-Proxy-Upgrade") == "websocket"
    assert "X-Inverting-Proxy-Upgrade" not in request_fields(an_exchange())


@pytest.mark.parametrize(
    ("values", "takes"),
    [([], False), (["tunnel"], True), (["a, Tunnel ,b"], True), (["a", "tunnel"], True), (["tunnels"], False)],
)
def test_an_agent_takes_upgrades_that_says_so(values: list[str], takes: bool) -> None:
    assert takes_upgrades(Headers(("x-inverting-proxy-capabilities", value) for value in values)) == takes
