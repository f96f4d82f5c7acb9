"""Requests that a poll has only named: fetched in one call where the proxy gives several."""

import time
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from agent.identity.credentials import NoCredentials
from agent.messages import Listed, Request, id_of
from agent.proxy.client import AgentIdentity, ProxyClient
from agent.proxy.conversation import Conversation
from agent.proxy.fetches import fetch_together
from agent.transport.client import HttpClient, Interrupt
from agent.transport.connections import ConnectionPool
from tests.agent.batch_proxy import BatchProxy, Cut, a_batch, an_entry, batch_proxy
from tests.agent.peers import an_answer
from tests.timing import SECOND
from wire.protocol import REQUEST_ID, RequestId

NAMES = [RequestId(name) for name in ("a", "b", "c")]


@pytest.fixture
def proxy() -> Iterator[BatchProxy]:
    with batch_proxy() as proxy:
        proxy.requests = {name: f"GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for name in NAMES}
        yield proxy


def a_client(proxy: BatchProxy) -> ProxyClient:
    return ProxyClient(
        HttpClient(ConnectionPool(proxy.url, size=4, connect_timeout=5 * SECOND)),
        url=proxy.url,
        identity=AgentIdentity("notebook", "agent-1", "test/1"),
        credentials=NoCredentials(),
        poll_limit=timedelta(seconds=10 * SECOND),
        jitter=lambda: 0.1,
        sleep=time.sleep,
    )


def fetch(proxy: BatchProxy, listed: Sequence[Listed], *, most: int = 16) -> list[str]:
    """What it gives: a path for a request, an ID for a name."""
    fetched = fetch_together(a_client(proxy).calls, listed, most=most)
    return [each.head.target if isinstance(each, Request) else each for each in fetched]


def asked(proxy: BatchProxy) -> list[str]:
    return [call.get_all(REQUEST_ID)[0] for call in proxy.named("GET", "/agent/request")]


def test_several_come_in_one_call_in_their_order(proxy: BatchProxy) -> None:
    assert fetch(proxy, NAMES) == ["/a", "/b", "/c"]
    assert asked(proxy) == ["a b c"]


def test_what_this_agent_does_not_get_is_listed_no_more(proxy: BatchProxy) -> None:
    del proxy.requests["b"]
    assert fetch(proxy, NAMES) == ["/a", "/c"]
    proxy.requests.clear()
    assert fetch(proxy, NAMES) == []


def test_one_is_fetched_as_ever(proxy: BatchProxy) -> None:
    assert (fetch(proxy, NAMES[:1]), asked(proxy)) == (["a"], [])


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_are_fetched_in_one_call_than_the_proxy_gives(proxy: BatchProxy, most: int) -> None:
    taken = fetch(proxy, NAMES, most=most)
    assert (taken, asked(proxy)) == ((["a", "b", "c"], []) if most == 1 else (["/a", "/b", "c"], ["a b"]))


def test_no_more_are_named_than_a_field_may_hold(proxy: BatchProxy) -> None:
    names = [RequestId(letter * 256) for letter in "abcdefghijklmnop"]
    proxy.requests = {name: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" for name in names}
    assert fetch(proxy, names) == ["/"] * 15 + names[15:]
    assert [len(each) for each in asked(proxy)] == [15 * 257 - 1]


def test_what_the_poll_has_brought_already_stays(proxy: BatchProxy) -> None:
    here = fetch_together(a_client(proxy).calls, NAMES, most=16)[0]
    assert fetch(proxy, [NAMES[0], here, NAMES[1]]) == ["/a", "/a", "/b"]


@pytest.mark.parametrize(
    "instead",
    [
        an_answer(status=503),
        an_answer(b"[]"),
        Cut(a_batch(*(an_entry(name, b"GET / HTTP/1.1") for name in NAMES))[:-9]),
    ],
    ids=["refused", "no batch", "broken off"],
)
def test_where_that_fails_each_is_fetched_by_itself(proxy: BatchProxy, instead: bytes) -> None:
    proxy.gives_instead = instead
    assert fetch(proxy, NAMES) == NAMES


@pytest.mark.parametrize("said", ["", "X-Inverting-Proxy-Fetches: 8\r\n"])
def test_a_proxy_that_does_not_say_so_is_not_asked_for_several(proxy: BatchProxy, said: str) -> None:
    conversation = Conversation(a_client(proxy))
    proxy.polls.put(a_batch(*(an_entry(name, b"", to_fetch=True) for name in NAMES), fields=said))
    listed = conversation.poll(Interrupt(), capacity=8)
    taken = conversation.take(listed)
    assert [id_of(each) for each in taken] == NAMES
    assert [isinstance(each, Request) for each in taken] == [bool(said)] * 3
