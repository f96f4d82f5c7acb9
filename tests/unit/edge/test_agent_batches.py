"""What a poll of version 2 asks for, and the batch that answers it."""

import pytest

from broker.model import HandedOut, LostPolls, Poll
from broker.policy import Policy
from edge.agent_batches import batch_of, lost_polls_of, poll_of
from tests.factories import an_exchange
from wire.batches import REQUESTS, BatchParser
from wire.errors import MalformedMessage, MessageTooLarge
from wire.headers import Headers
from wire.negotiation import ACCEPT, boundary_of
from wire.protocol import AGENT_ID, CAPACITY, FORWARDED, LOST_POLL, POLL_ID, RECEIVED, START_TIME, USER_ID

POLICY = Policy(list_limit=50)
CALL = Headers([("accept", ACCEPT), (AGENT_ID.lower(), "a1"), (POLL_ID, "p1"), (CAPACITY, "7")])


def test_a_poll_names_its_agent_itself_and_what_it_can_take() -> None:
    assert poll_of(CALL, POLICY) == Poll(agent_id="a1", poll_id="p1", capacity=7)


def test_a_poll_that_does_not_say_takes_what_the_proxy_gives() -> None:
    assert poll_of(CALL.without(CAPACITY), POLICY) == Poll(agent_id="a1", poll_id="p1", capacity=50)


@pytest.mark.parametrize("accept", [[], [("Accept", "*/*")], [("Accept", "application/json")]])
def test_a_poll_that_does_not_accept_batches_is_of_version_1(accept: list[tuple[str, str]]) -> None:
    assert poll_of(CALL.without("Accept").adding(*accept), POLICY) is None


@pytest.mark.parametrize("name", [AGENT_ID, POLL_ID])
def test_a_poll_of_version_2_has_to_have_names(name: str) -> None:
    with pytest.raises(MalformedMessage, match=f"^{name}: missing"):
        poll_of(CALL.without(name), POLICY)


def test_a_call_names_the_polls_that_were_lost_and_what_arrived() -> None:
    headers = Headers([(LOST_POLL, "p1 p2"), (RECEIVED, "r1")])

    assert lost_polls_of(headers) == LostPolls(frozenset({"p1", "p2"}), frozenset({an_exchange("r1").request_id}))
    assert lost_polls_of(Headers()) == LostPolls()


@pytest.mark.parametrize("name", [LOST_POLL, RECEIVED])
def test_what_are_no_names_is_refused(name: str) -> None:
    with pytest.raises(MalformedMessage, match=f"^{name}: not names"):
        lost_polls_of(Headers([(name, "a,  b")]))
    with pytest.raises(MessageTooLarge, match=f"^{name}: over 4096 characters"):
        lost_polls_of(Headers([(name, "a" * 5000)]))


def test_a_batch_says_beside_each_request_what_version_1_says() -> None:
    handed = [HandedOut(an_exchange("r1"), b"GET /"), HandedOut(an_exchange("r2", end_user=""), None)]
    fields, body = batch_of(handed)
    boundary = boundary_of(fields.get("Content-Type"))
    assert boundary is not None
    parser = BatchParser(boundary, REQUESTS)
    first, second = parser.feed(body)
    parser.close()

    assert (first.request_id, first.message, first.is_to_fetch) == ("r1", b"GET /", False)
    assert (first.headers.get(USER_ID), first.headers.get(START_TIME)) == (
        "user@example.com",
        "2026-05-17T12:00:00.000000Z",
    )
    assert (second.request_id, second.message, second.is_to_fetch) == ("r2", b"", True)
    assert (USER_ID in second.headers, second.headers.get(FORWARDED)) == (False, "set")


def test_no_two_batches_have_one_boundary() -> None:
    handed = [HandedOut(an_exchange(), b"GET /")]

    assert batch_of(handed)[0] != batch_of(handed)[0]
