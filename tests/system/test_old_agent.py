"""The original's agent, which was never told of ours, serves a backend on both shapes."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from tests.system.backends import Peer
from tests.system.conftest import Serve
from tests.system.old_agent import OldAgent
from tests.system.peers import pattern
from tests.system.rawhttp import call, get
from tests.system.shapes import Site
from tests.timing import SECOND, wait_until


@pytest.fixture(scope="module")
def site(serve: Serve, peer: Peer) -> Iterator[Site]:
    site = serve(peer.url, agents=0)
    agent = OldAgent(site.shape.agent_url, backend_id=site.backend_id, backend_url=peer.url, token=site.shape.token)
    agent.start()
    site.wait_until_online()
    yield site
    agent.stop()


@pytest.mark.parametrize("size", [0, 1, 1_000_000, 5_000_000])
def test_it_carries_bodies_both_ways(size: int, site: Site) -> None:
    reply = call(site.url, "POST", "/echo", body=pattern(size))

    assert (reply.status, reply.is_whole, reply.body == pattern(size)) == (200, True, True)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [("HEAD", "/any", 200), ("GET", "/status?code=204", 204), ("GET", "/status?code=304", 304)],
)
def test_it_carries_answers_without_a_body(method: str, target: str, status: int, site: Site) -> None:
    reply = call(site.url, method, target)

    assert (reply.status, reply.body) == (status, b"")


def test_it_hears_who_the_user_is_and_the_backend_sees_no_field_of_the_protocol(site: Site) -> None:
    arrived = json.loads(get(site.url, "/any", ("X-Inverting-Proxy-User-ID", "mallory")).body)

    assert "x-inverting-proxy" not in json.dumps(arrived).lower()


def test_each_post_is_executed_once(site: Site, peer: Peer) -> None:
    test_id = uuid4().hex

    def post(number: int) -> bytes:
        fields = [("X-Test-Id", f"{test_id}-{number}")]
        return call(site.url, "POST", "/echo", fields=fields, body=f"{number}".encode()).body

    with ThreadPoolExecutor(8) as pool:
        bodies = list(pool.map(post, range(40)))

    assert bodies == [f"{number}".encode() for number in range(40)]
    assert sorted(note.id for note in peer.notes_of(test_id)) == sorted(f"{test_id}-{n}" for n in range(40))


def test_it_and_a_new_agent_serve_one_backend_together(site: Site, peer: Peer) -> None:
    test_id = uuid4().hex
    new = site.start_agent()
    wait_until(lambda: "serves" in new.printed(), within=10 * SECOND, what="the new agent at work")

    def post(number: int) -> int:
        return call(site.url, "POST", "/echo", fields=[("X-Test-Id", f"{test_id}-{number}")], body=b"x").status

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(post, range(40)))

    assert statuses == [200] * 40
    assert len(peer.notes_of(test_id)) == 40
