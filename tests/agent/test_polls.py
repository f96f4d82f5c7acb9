"""Polls in either version of the protocol: what they bring, and what becomes of those that are lost."""

import threading
import time
from datetime import timedelta

import pytest

from agent.identity.credentials import NoCredentials
from agent.messages import Request
from agent.proxy.client import AgentIdentity, ProxyClient
from agent.proxy.errors import NotAProxy, ProxyUnavailable
from agent.proxy.polls import Polled, Polls
from agent.transport.client import HttpClient, Interrupt
from agent.transport.connections import ConnectionPool
from agent.transport.errors import TransportError
from agent.transport.upload import Body
from tests.agent.batch_proxy import NOTHING, Cut, a_batch, an_entry, batch_proxy
from tests.agent.peers import an_answer
from tests.timing import SECOND, wait_until
from wire.errors import MalformedMessage, WireError
from wire.http1 import End

GET = b"GET /path HTTP/1.1\r\nHost: x\r\n\r\n"


def polls_at(url: str, *, limit: float = 10 * SECOND) -> Polls:
    return ProxyClient(
        HttpClient(ConnectionPool(url, size=4, connect_timeout=5 * SECOND)),
        url=url,
        identity=AgentIdentity("notebook", "agent-1", "test/1"),
        credentials=NoCredentials(),
        poll_limit=timedelta(seconds=limit),
        jitter=lambda: 0.1,
        sleep=time.sleep,
    ).polls


def poll(*answers: bytes) -> Polled:
    """What the first of these answers gives."""
    with batch_proxy() as proxy:
        for answer in answers:
            proxy.polls.put(answer)
        return polls_at(proxy.url).poll(Interrupt(), capacity=3)


def test_a_poll_says_which_version_it_wants_who_asks_and_how_much_it_takes() -> None:
    with batch_proxy() as proxy:
        polls = polls_at(proxy.url)
        for _ in range(2):
            proxy.polls.put(NOTHING)
            polls.poll(Interrupt(), capacity=7)
        [first, second] = proxy.named("GET", "/agent/pending")
    assert first.get_all("Accept") == ["multipart/mixed, application/json;q=0.5"]
    assert first.get_all("X-Inverting-Proxy-Agent-ID") == ["agent-1"]
    assert first.get_all("X-Inverting-Proxy-Capacity") == ["7"]
    assert first.get_all("X-Inverting-Proxy-Poll-ID") != second.get_all("X-Inverting-Proxy-Poll-ID")


def test_a_batch_brings_requests_and_names_of_those_to_fetch() -> None:
    said = [("X-Inverting-Proxy-User-ID", "user@example.com"), ("X-Inverting-Proxy-Forwarded", "set")]
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
    polled = poll(a_batch(an_entry("a", GET, *said), an_entry("b", post), an_entry("c", b"", to_fetch=True)))
    first, second, third = polled.listed
    assert isinstance(first, Request) and isinstance(second, Request)
    assert (first.request_id, first.user_id, first.head.target, first.is_forwarded_set) == (
        "a", "user@example.com", "/path", True,
    )  # fmt: skip
    assert (second.user_id, second.body, second.is_forwarded_set) == ("", b"hello", False)
    assert (third, polled.is_batch) == ("c", True)


@pytest.mark.parametrize("framing", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
def test_a_body_that_takes_time_to_send_is_a_stream(framing: str) -> None:
    data = b"x" * 100_000
    body = data if "Length" in framing else b"%x\r\n%b\r\n0\r\nX-Trailer: 1\r\n\r\n" % (len(data), data)
    [request] = poll(
        a_batch(an_entry("a", b"PUT / HTTP/1.1\r\nHost: x\r\n" + f"{framing}\r\n\r\n".encode() + body))
    ).listed
    assert isinstance(request, Request) and isinstance(request.body, Body)
    *pieces, end = request.body.events
    assert b"".join(piece for piece in pieces if isinstance(piece, bytes)) == data
    assert isinstance(end, End)
    assert list(end.trailers) == ([] if "Length" in framing else [("X-Trailer", "1")])


def test_what_is_no_request_is_left_to_be_fetched_which_shows_why() -> None:
    assert poll(a_batch(an_entry("a", b"nonsense\r\n\r\n"))).listed == ["a"]


@pytest.mark.parametrize(
    ("answer", "listed", "is_batch"),
    [(NOTHING, [], True), (an_answer(b'["a"]'), ["a"], False), (an_answer(b"null"), [], False)],
    ids=["none", "a list of version 1", "none of version 1"],
)
def test_the_answer_says_which_version_the_proxy_speaks(answer: bytes, listed: list[str], is_batch: bool) -> None:
    polled = poll(answer)
    assert (polled.listed, polled.is_batch) == (listed, is_batch)


@pytest.mark.parametrize(("said", "welcome"), [("", 1), ("X-Inverting-Proxy-Polls: 5\r\n", 5)])
def test_a_proxy_may_say_how_many_polls_it_likes_to_have(said: str, welcome: int) -> None:
    assert poll(f"HTTP/1.1 204 No Content\r\n{said}\r\n".encode()).welcome == welcome


def test_a_poll_that_runs_out_of_time_says_nothing_of_the_proxy() -> None:
    with batch_proxy() as proxy:
        assert polls_at(proxy.url, limit=0.1 * SECOND).poll(Interrupt(), capacity=1) == Polled([], None)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (an_answer(status=503), ProxyUnavailable),
        (an_answer(b"<html>"), NotAProxy),
        (Cut(a_batch(an_entry("a", GET))[:-30]), TransportError),
        (an_answer(b"--b\r\n", fields="Content-Type: multipart/mixed; boundary=b\r\n"), WireError),
        (an_answer(b"--b\r\n", fields="Content-Type: multipart/mixed\r\n"), MalformedMessage),
    ],
    ids=["refused", "a page", "cut", "no batch", "no boundary"],
)
def test_the_next_calls_say_that_a_poll_was_lost(answer: bytes, error: type[Exception]) -> None:
    with batch_proxy() as proxy:
        polls = polls_at(proxy.url)
        proxy.polls.put(answer)
        with pytest.raises(error):
            polls.poll(Interrupt(), capacity=1)
        proxy.polls.put(NOTHING)
        polls.poll(Interrupt(), capacity=1)
        polls.leave()
        first = proxy.poll_ids()[0]
        assert proxy.lost() == [([], []), ([first], []), ([first], [])]


def test_what_has_arrived_whole_in_a_lost_poll_is_begun_and_named() -> None:
    with batch_proxy() as proxy:
        polls = polls_at(proxy.url)
        # Cut behind the second message, before the end of its line.
        whole = a_batch(an_entry("a", GET), an_entry("b", GET))
        proxy.polls.put(Cut(whole[: -len(b"\r\n--b--\r\n")]))
        polled = polls.poll(Interrupt(), capacity=2)
        proxy.polls.put(NOTHING)
        polls.poll(Interrupt(), capacity=1)
        assert [each.request_id for each in polled.listed if isinstance(each, Request)] == ["a"]
        assert (polled.is_batch, proxy.lost()[1]) == (True, ([proxy.poll_ids()[0]], ["a"]))


def test_a_poll_that_is_interrupted_is_lost() -> None:
    interrupt = Interrupt()
    with batch_proxy() as proxy:
        polls = polls_at(proxy.url)
        thread = threading.Timer(0.1 * SECOND, interrupt.trigger)
        thread.start()
        with pytest.raises(TransportError):
            polls.poll(interrupt, capacity=1)
        polls.leave()
        wait_until(lambda: proxy.named("DELETE", "/agent/pending"), within=10 * SECOND, what="the farewell")
        assert proxy.lost()[-1] == ([proxy.poll_ids()[0]], [])


def test_a_poll_that_never_reached_the_proxy_is_not_lost() -> None:
    with batch_proxy() as gone:
        url = gone.url
    polls = polls_at(url)
    with pytest.raises(TransportError):
        polls.poll(Interrupt(), capacity=1)
    assert polls._lost.fields() == []


def test_a_connection_that_was_closed_meanwhile_is_replaced_and_the_poll_gets_another_name() -> None:
    with batch_proxy() as proxy:
        polls = polls_at(proxy.url)
        for answer in (NOTHING, Cut(), NOTHING):
            proxy.polls.put(answer)
        assert [polls.poll(Interrupt(), capacity=1) for _ in range(2)] == [Polled([], True, 16)] * 2
        _, second, third = proxy.poll_ids()
        assert (second != third, proxy.lost()) == (True, [([], []), ([], []), ([second], [])])
