"""Every request is executed once and answered with its own answer, however many clients and agents there are."""

import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from tests.system.backends import Peer
from tests.system.conftest import Serve
from tests.system.rawhttp import Reply, call, get
from tests.system.shapes import RESPONSE_TIMEOUT, Site
from tests.timing import SECOND

CLIENTS = 64
POSTS = 300


def post_echo(site: Site, test_id: str, number: int) -> Reply:
    fields = [("X-Test-Id", f"{test_id}-{number}")]
    return call(site.url, "POST", f"/echo?{number}", fields=fields, body=f"{test_id} {number}".encode() * 50)


def post_many(site: Site, test_id: str, count: int, *, clients: int) -> list[Reply]:
    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(lambda number: post_echo(site, test_id, number), range(count)))


def test_sixty_four_clients_at_once_get_their_own_answers(serve_fresh: Serve, peer: Peer) -> None:
    site, test_id = serve_fresh(peer.url), uuid4().hex

    replies = post_many(site, test_id, 3 * CLIENTS, clients=CLIENTS)

    assert [reply.status for reply in replies] == [200] * len(replies)
    assert [reply.body for reply in replies] == [f"{test_id} {n}".encode() * 50 for n in range(len(replies))]


@pytest.mark.parametrize("agents", [2, 5])
def test_with_several_agents_each_post_is_executed_exactly_once(agents: int, serve_fresh: Serve, peer: Peer) -> None:
    """Row 5 of the table of promises, with 300 posts and 16 clients where it says 1000 and 50: two cores."""
    site, test_id = serve_fresh(peer.url, agents=agents), uuid4().hex

    replies = post_many(site, test_id, POSTS, clients=16)

    executed = sorted(note.id for note in peer.notes_of(test_id))
    assert [reply.status for reply in replies] == [200] * POSTS
    assert [reply.body for reply in replies] == [f"{test_id} {n}".encode() * 50 for n in range(POSTS)]
    assert executed == sorted(f"{test_id}-{number}" for number in range(POSTS))


def test_an_agent_that_sleeps_longer_than_its_lease_repeats_no_post_and_mixes_no_answers(
    serve_fresh: Serve, peer: Peer
) -> None:
    """The second run of row 5: 60 posts, one of two agents stopped for longer than any of them may take."""
    site, test_id = serve_fresh(peer.url, agents=2), uuid4().hex
    site.agents[0].send(signal.SIGSTOP)
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(post_echo, site, test_id, number) for number in range(60)]
        time.sleep(RESPONSE_TIMEOUT + 2)
        site.agents[0].send(signal.SIGCONT)
        replies = [future.result() for future in asked]
    after = post_echo(site, test_id, 60)

    executed = [note.id for note in peer.notes_of(test_id)]
    own = [f"{test_id} {number}".encode() * 50 for number in range(60)]
    assert len(executed) == len(set(executed))
    assert {reply.status for reply in replies} <= {200, 502, 503, 504}
    assert [reply.body for reply in replies if reply.status == 200] == [
        body for reply, body in zip(replies, own, strict=True) if reply.status == 200
    ]
    assert sum(reply.status == 200 for reply in replies) >= 30
    assert after.status == 200


def test_two_users_never_share_state(serve_fresh: Serve, peer: Peer) -> None:
    """Row 23 of the table of promises, with 100 turns where it says 1000: two cores."""
    site, test_id, turns = serve_fresh(peer.url), uuid4().hex, 50

    def ask(number: int) -> tuple[dict[str, str], str | None]:
        name = ("anne", "bert")[number % 2]
        reply = get(site.url, f"/cookie?value={name}", ("Cookie", f"me={name}"), ("X-Test-Id", test_id))
        return json.loads(reply.body), reply.get("Set-Cookie")

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(ask, range(2 * turns)))
    nobody = json.loads(get(site.url, "/cookie?value=x", ("X-Test-Id", test_id)).body)

    for number, (seen, cookie) in enumerate(answers):
        name = ("anne", "bert")[number % 2]
        assert (seen, cookie) == ({"value": name, "cookie": f"me={name}"}, f"user={name}; Path=/")
    assert nobody["cookie"] == ""
    assert len(peer.notes_of(test_id)) == 2 * turns + 1


def test_the_same_page_is_asked_for_again_each_time(serve_fresh: Serve, peer: Peer) -> None:
    site, test_id = serve_fresh(peer.url), uuid4().hex
    for _ in range(3):
        assert get(site.url, "/echo?same", ("X-Test-Id", test_id), timeout=20 * SECOND).status == 200

    assert len(peer.notes_of(test_id)) == 3
