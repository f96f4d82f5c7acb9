"""A backend, or its agent, that goes away: users are told at once, and never shown half an answer as a whole one.

Rows 2 and 31 of the table of promises.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from tests.system.backends import Httpbin, Peer
from tests.system.conftest import Serve
from tests.system.processes import Process, free_port
from tests.system.rawhttp import Reply, call, get
from tests.system.shapes import IDLE_TIMEOUT, Site
from tests.timing import MS, SECOND, wait_until

DRIP = "/drip?n=10000000&pieces=50&ms=60"
"""Ten megabytes in three seconds."""

FRAMINGS = pytest.mark.parametrize("framing", ["", "&chunked"], ids=["length", "chunked"])


@pytest.fixture
def mortal_peer(folder: Path) -> Iterator[Peer]:
    """A backend that the test may kill."""
    peer = Peer(folder, name=f"mortal-peer-{uuid4().hex}")
    yield peer
    peer.stop()


@pytest.mark.parametrize(
    ("backend_url", "reason"),
    [
        ("http://127.0.0.1:{closed}", "backend-unreachable"),
        ("http://no-such-host.invalid:80", "backend-unreachable"),
        ("https://127.0.0.1:{plain}", "backend-tls"),
    ],
    ids=["refused", "unknown name", "not TLS"],
)
def test_a_backend_that_cannot_be_reached_is_told_at_once(
    backend_url: str, reason: str, serve_fresh: Serve, httpbin: Httpbin, at_once: float
) -> None:
    address = backend_url.format(closed=free_port(), plain=httpbin.url.rpartition(":")[2])
    site = serve_fresh(address)
    began = time.monotonic()

    reply = get(site.url, "/")

    assert (reply.status, reply.reason) == (502, reason)
    assert time.monotonic() - began < at_once
    assert site.agents[0].is_running


def test_a_backend_that_comes_back_is_served_again_by_the_same_agent(serve_fresh: Serve, folder: Path) -> None:
    port = free_port()
    site = serve_fresh(f"http://127.0.0.1:{port}")
    assert get(site.url, "/echo").status == 502
    late = Peer(folder, name=f"late-peer-{port}", port=port)

    reply = get(site.url, "/echo")

    late.stop()
    assert reply.status == 200


def ask_and_kill(site: Site, framing: str, peer: Peer, victim: Process) -> tuple[Reply, float]:
    """Get the drip; kill the victim after a third of it; the reply, and how long its end took."""
    test_id = uuid4().hex
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(call, site.url, "GET", DRIP + framing, fields=[("X-Test-Id", test_id)])
        wait_until(lambda: peer.notes_of(test_id), within=10 * SECOND, what="the request at the backend")
        time.sleep(1000 * MS)
        began = time.monotonic()
        victim.kill()
        return asked.result(), time.monotonic() - began


def require_not_whole(reply: Reply) -> None:
    """Cut where something of it was sent already, told where nothing was."""
    if reply.status == 200:
        assert not reply.is_whole
    else:
        assert (reply.status in (502, 503, 504), bool(reply.reason)) == (True, True)


@FRAMINGS
def test_an_answer_whose_agent_is_killed_is_never_shown_as_whole(framing: str, serve_fresh: Serve, peer: Peer) -> None:
    site = serve_fresh(peer.url)

    reply, took = ask_and_kill(site, framing, peer, site.agents[0])

    require_not_whole(reply)
    assert took < IDLE_TIMEOUT + 2 * SECOND


@FRAMINGS
def test_an_answer_whose_backend_is_killed_is_never_shown_as_whole(
    framing: str, serve_fresh: Serve, mortal_peer: Peer
) -> None:
    site = serve_fresh(mortal_peer.url)

    reply, took = ask_and_kill(site, framing, mortal_peer, mortal_peer.process)

    require_not_whole(reply)
    assert took < 5 * SECOND
