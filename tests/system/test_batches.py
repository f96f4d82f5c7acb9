"""Version 2 by hand, over real sockets, on both shapes: beside the agents of both versions, and when polls are lost."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from threading import Event
from typing import Any
from uuid import uuid4

import pytest

from tests.batches import BATCH_OF_ANSWERS, an_answer, answers, read_requests
from tests.system.backends import Peer
from tests.system.conftest import Serve
from tests.system.old_agent import OldAgent
from tests.system.rawhttp import Connection, Reply, call, request_bytes
from tests.system.shapes import Site
from tests.timing import SECOND, wait_until
from wire.batches import Entry
from wire.negotiation import ACCEPT

Field = tuple[str, str]

_polls = count(1)


def a_poll_id() -> str:
    """A fresh one."""
    return f"poll-{next(_polls)}"


class BatchAgent:
    """Polls and posts when the test says so."""

    def __init__(self, site: Site, agent_id: str) -> None:
        self._url = site.shape.agent_url
        self._to_fetch: set[str] = set()
        self._fields: list[Field] = [
            ("X-Inverting-Proxy-Backend-ID", site.backend_id),
            ("X-Inverting-Proxy-Agent-ID", agent_id),
            *([("Authorization", f"Bearer {site.shape.token}")] if site.shape.token else []),
        ]

    def call(self, method: str, path: str, *fields: Field, body: bytes | None = None) -> Reply:
        with Connection(self._url) as connection:
            own = [*self._fields, *fields]
            connection.send(request_bytes(method, path, host=connection.host, fields=own, body=body))
            return connection.read_reply(method)

    def poll(self, *fields: Field, poll_id: str = "", capacity: int = 100) -> list[Entry]:
        """What a poll brings, as soon as there is something."""
        own = [
            ("Accept", ACCEPT),
            ("X-Inverting-Proxy-Poll-ID", poll_id or a_poll_id()),
            ("X-Inverting-Proxy-Capacity", str(capacity)),
        ]
        reply = self.call("GET", "/agent/pending", *own, *fields)
        assert reply.status in (200, 204), reply
        entries = read_requests(reply.get("Content-Type"), reply.body) if reply.status == 200 else []
        self._to_fetch |= {entry.request_id for entry in entries if entry.is_to_fetch}
        return entries

    def message_of(self, entry: Entry) -> bytes:
        """The request, which has to be fetched where the poll has only named it."""
        return self._fetch(entry.request_id).body if entry.request_id in self._to_fetch else entry.message

    def _fetch(self, request_id: str) -> Reply:
        self._to_fetch.discard(request_id)
        return self.call("GET", "/agent/request", ("X-Inverting-Proxy-Request-ID", request_id))

    def leave(self, *fields: Field) -> None:
        """Ask no more; a poll that waits ends."""
        assert self.call("DELETE", "/agent/pending", ("X-Inverting-Proxy-Request-ID", "-"), *fields).status == 204

    def post(self, *request_ids: str, body: bytes = b"by hand") -> dict[str, Any]:
        """Answer requests, and say what the proxy says of that."""
        for request_id in self._to_fetch.intersection(request_ids):
            self._fetch(request_id)
        message = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        raw = answers(*(an_answer(request_id, message) for request_id in request_ids))
        reply = self.call("POST", "/agent/response", *BATCH_OF_ANSWERS, body=raw)
        assert reply.status == 200, reply
        receipt: dict[str, Any] = json.loads(reply.body)
        return receipt


def serve_one(agent: BatchAgent) -> None:
    entries: list[Entry] = []
    while not entries:
        entries = agent.poll()
    agent.post(*(entry.request_id for entry in entries))


@pytest.fixture(scope="module")
def site(serve: Serve, peer: Peer) -> Site:
    """A backend that is known and online, without an agent."""
    site = serve(peer.url, agents=0)
    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(serve_one, BatchAgent(site, "first"))
        site.wait_until_online()
        served.result()
    return site


@contextmanager
def asking(site: Site, *requests: tuple[str, str]) -> Iterator[list["Future[Reply]"]]:
    """Users' requests, under way in threads."""
    with ThreadPoolExecutor(len(requests)) as pool:
        yield [pool.submit(call, site.url, method, target) for method, target in requests]


def poll_until(agent: BatchAgent, number: int) -> list[Entry]:
    """So many requests, in as many polls as it takes."""
    entries: list[Entry] = []
    while len(entries) < number:
        entries += agent.poll()
    return entries


def test_requests_come_with_polls_and_answers_go_in_a_batch(site: Site) -> None:
    agent = BatchAgent(site, "agent-1")
    with asking(site, ("GET", "/a"), ("POST", "/b"), ("PUT", "/c")) as asked:
        entries = poll_until(agent, 3)
        messages = [agent.message_of(entry) for entry in entries]
        receipt = agent.post("gone", *(entry.request_id for entry in entries))

        assert sorted(message.partition(b" HTTP")[0] for message in messages) == [b"GET /a", b"POST /b", b"PUT /c"]
        # Answers that are stored at the same time are named in the order in which that is done.
        assert (set(receipt["delivered"]), receipt["unknown"], receipt["refused"]) == (
            {entry.request_id for entry in entries},
            ["gone"],
            {},
        )
        assert [each.result().body for each in asked] == [b"by hand"] * 3


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_was_lost_on_the_way_comes_again_and_is_answered_once(method: str, site: Site) -> None:
    agent = BatchAgent(site, "agent-1")
    with asking(site, (method, "/")) as [asked]:
        poll_id = a_poll_id()
        (lost,) = agent.poll(poll_id=poll_id)
        (again,) = agent.poll(("X-Inverting-Proxy-Lost-Poll", poll_id))
        assert (again.request_id, again.message) == (lost.request_id, lost.message)
        assert agent.post(again.request_id)["delivered"] == [again.request_id]
        assert asked.result().body == b"by hand"


def test_what_an_agent_that_leaves_has_lost_goes_to_another(site: Site) -> None:
    leaving, other = BatchAgent(site, "agent-1"), BatchAgent(site, "agent-2")
    with asking(site, ("POST", "/")) as [asked]:
        poll_id = a_poll_id()
        leaving.poll(poll_id=poll_id)
        leaving.leave(("X-Inverting-Proxy-Lost-Poll", poll_id))
        serve_one(other)
        assert asked.result().body == b"by hand"


def test_what_arrived_of_a_lost_poll_is_not_given_to_another(site: Site) -> None:
    agent, other = BatchAgent(site, "agent-1"), BatchAgent(site, "agent-2")
    with asking(site, ("POST", "/first"), ("POST", "/second")) as asked:
        polls, entries = [a_poll_id(), a_poll_id()], list[Entry]()
        for poll_id in polls:
            entries += agent.poll(poll_id=poll_id, capacity=1)
        one, two = entries
        agent.message_of(one)
        agent.leave(("X-Inverting-Proxy-Lost-Poll", " ".join(polls)), ("X-Inverting-Proxy-Received", one.request_id))
        assert other.post(one.request_id)["refused"] == {one.request_id: "claimed-elsewhere"}
        [taken] = other.poll()
        assert taken.request_id == two.request_id
        other.message_of(taken)
        assert agent.post(one.request_id, two.request_id)["refused"] == {two.request_id: "claimed-elsewhere"}
        other.post(two.request_id)
        assert [each.result().body for each in asked] == [b"by hand"] * 2


def test_agents_of_every_kind_share_a_backend_and_none_does_what_another_does(site: Site, peer: Peer) -> None:
    test_id = uuid4().hex
    by_hand: list[str] = []
    is_over = Event()

    def serve_by_hand() -> None:
        agent = BatchAgent(site, "by-hand")
        while not is_over.is_set():
            for entry in agent.poll(capacity=2):
                # Where requests are only named, who fetches first has them.
                by_hand.extend(agent.post(entry.request_id)["delivered"])

    def post(number: int) -> int:
        return call(site.url, "POST", "/echo", fields=[("X-Test-Id", f"{test_id}-{number}")], body=b"x").status

    old = OldAgent(site.shape.agent_url, backend_id=site.backend_id, backend_url=peer.url, token=site.shape.token)
    new = site.start_agent()
    wait_until(lambda: "serves" in new.printed(), within=10 * SECOND, what="the new agent at work")
    old.start()
    with ThreadPoolExecutor(9) as pool:
        serving = pool.submit(serve_by_hand)
        statuses = list(pool.map(post, range(60)))
        is_over.set()
        BatchAgent(site, "by-hand").leave()
        serving.result()
    new.stop()
    old.stop()

    assert set(statuses) == {200}
    assert len(set(by_hand)) == len(by_hand)
    assert len(peer.notes_of(test_id)) + len(by_hand) == len(statuses)
