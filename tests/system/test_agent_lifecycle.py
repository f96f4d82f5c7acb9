"""Agents that are killed, stopped and started again: no request hangs, none is lost on a clean stop."""

import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final
from uuid import uuid4

import pytest

from tests.system.backends import Peer
from tests.system.conftest import Serve
from tests.system.rawhttp import Reply, call, get
from tests.system.shapes import RESPONSE_TIMEOUT
from tests.timing import MS, SECOND, wait_until

CLIENTS = 8
"""Row 1 of the table of promises, with 8 clients where it says 20: two cores."""


def in_background(
    pool: ThreadPoolExecutor, url: str, target: str, *, test_id: str, method: str = "GET"
) -> Future[Reply]:
    return pool.submit(call, url, method, target, fields=[("X-Test-Id", test_id)])


def wait_until_begun(peer: Peer, test_id: str, count: int = 1) -> None:
    wait_until(
        lambda: len(peer.notes_of(test_id)) >= count, within=20 * SECOND, what=f"{count} requests at the backend"
    )


def test_requests_in_flight_end_in_time_when_their_agent_is_killed_and_the_next_agent_serves(
    serve_fresh: Serve, peer: Peer
) -> None:
    site, test_id = serve_fresh(peer.url), uuid4().hex
    with ThreadPoolExecutor(CLIENTS) as pool:
        began = time.monotonic()
        asked = [in_background(pool, site.url, "/hang", test_id=test_id, method="POST") for _ in range(CLIENTS)]
        wait_until_begun(peer, test_id, CLIENTS)
        site.agents[0].kill()
        replies = [future.result() for future in asked]
        took = time.monotonic() - began
    site.start_agent()
    site.wait_until_online()

    after = get(site.url, "/echo")

    assert {reply.status for reply in replies} <= {502, 503, 504}
    assert all(reply.reason and reply.get("X-Inverting-Proxy-Trace-ID") for reply in replies)
    assert took < RESPONSE_TIMEOUT + 2 * SECOND
    assert len(peer.notes_of(test_id)) == CLIENTS
    assert after.status == 200


def test_a_get_whose_agent_was_killed_is_repeated_where_that_is_noticed(serve_fresh: Serve, peer: Peer) -> None:
    """Stand-alone sees connections break off; App Engine hides them, and there only the time for the answer ends."""
    site, test_id = serve_fresh(peer.url), uuid4().hex
    with ThreadPoolExecutor(1) as pool:
        asked = in_background(pool, site.url, "/sleep?ms=1000", test_id=test_id)
        wait_until_begun(peer, test_id)
        site.agents[0].kill()
        site.start_agent()

        reply = asked.result()

    expected = {"standalone": (200, 2), "appengine": (504, 1)}[site.shape.name]
    assert (reply.status, len(peer.notes_of(test_id))) == expected


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_agent_that_is_asked_to_stop_answers_what_it_has_begun(
    number: signal.Signals, serve_fresh: Serve, peer: Peer
) -> None:
    site, test_id = serve_fresh(peer.url), uuid4().hex
    with ThreadPoolExecutor(1) as pool:
        asked = in_background(pool, site.url, "/sleep?ms=2000", test_id=test_id)
        wait_until_begun(peer, test_id)
        site.agents[0].send(number)

        reply = asked.result()

    assert reply.status == 200
    assert site.agents[0].wait(5 * SECOND) == 0


DRAINED: Final = 20
"""Row 26 of the table of promises; they sleep, so two cores will do."""


def test_a_stopping_agent_answers_all_it_has_begun_and_what_comes_meanwhile_goes_to_another(
    serve_fresh: Serve, peer: Peer
) -> None:
    site, begun, later = serve_fresh(peer.url), uuid4().hex, uuid4().hex
    with ThreadPoolExecutor(2 * DRAINED) as pool:
        asked = [
            in_background(pool, site.url, f"/sleep?ms={2000 + 100 * number}", test_id=begun, method="POST")
            for number in range(DRAINED)
        ]
        wait_until_begun(peer, begun, DRAINED)
        site.start_agent()
        site.agents[0].send(signal.SIGTERM)
        asked += [in_background(pool, site.url, "/echo", test_id=later, method="POST") for _ in range(DRAINED)]
        replies = [future.result() for future in asked]

    assert [reply.status for reply in replies] == [200] * 2 * DRAINED
    assert (len(peer.notes_of(begun)), len(peer.notes_of(later))) == (DRAINED, DRAINED)
    assert site.agents[0].wait(10 * SECOND) == 0


def test_a_second_signal_ends_an_agent_at_once(serve_fresh: Serve, peer: Peer) -> None:
    site, test_id = serve_fresh(peer.url), uuid4().hex
    with ThreadPoolExecutor(1) as pool:
        asked = in_background(pool, site.url, "/hang", test_id=test_id, method="POST")
        wait_until_begun(peer, test_id)
        site.agents[0].send(signal.SIGTERM)
        time.sleep(300 * MS)
        site.agents[0].require_running()
        site.agents[0].send(signal.SIGTERM)

        assert site.agents[0].wait(5 * SECOND) == 1
        asked.result()


def test_an_idle_agent_that_is_asked_to_stop_ends_at_once(serve_fresh: Serve, peer: Peer) -> None:
    site = serve_fresh(peer.url)

    site.agents[0].send(signal.SIGTERM)

    assert site.agents[0].wait(3 * SECOND) == 0


def test_a_request_that_comes_while_the_agent_is_away_is_served_when_it_is_back(serve_fresh: Serve, peer: Peer) -> None:
    site, test_id = serve_fresh(peer.url), uuid4().hex
    site.agents[0].kill()
    with ThreadPoolExecutor(1) as pool:
        asked = in_background(pool, site.url, "/echo", test_id=test_id, method="POST")
        time.sleep(300 * MS)
        site.start_agent()

        reply = asked.result()

    assert reply.status == 200
    assert len(peer.notes_of(test_id)) == 1


def test_an_agent_finds_its_proxy_again_each_time_that_it_was_restarted(serve_fresh: Serve, peer: Peer) -> None:
    site, test_id = serve_fresh(peer.url), uuid4().hex
    for _ in range(2):
        site.shape.restart()
        began = time.monotonic()
        site.wait_until_online()
        took = time.monotonic() - began
        reply = call(site.url, "POST", "/echo", fields=[("X-Test-Id", test_id)], body=b"again")

        assert (reply.status, reply.body) == (200, b"again")
        assert took < 10 * SECOND

    assert len(peer.notes_of(test_id)) == 2
