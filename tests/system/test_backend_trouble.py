"""What users are told when the backend is down, slow or broken: who failed, at once; never a half answer as a whole.

Rows 2 and 31 of the table of promises.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.backends import Httpbin, Peer
from tests.system.conftest import Serve
from tests.system.processes import Process, free_port
from tests.system.rawhttp import Connection, Disconnected, Reply, get, request_bytes
from tests.system.shapes import IDLE_TIMEOUT, RESPONSE_TIMEOUT, Site
from tests.timing import SECOND

AT_ONCE = 2 * SECOND
SIZE = 10_000_000
DRIP = f"/drip?n={SIZE}&pieces=50&ms=60"
"""Ten megabytes in three seconds."""

FRAMINGS = pytest.mark.parametrize("framing", ["", "&chunked"], ids=["length", "chunked"])


@pytest.fixture
def mortal_peer(folder: Path) -> Iterator[Peer]:
    """A backend that the test may kill."""
    peer = Peer(folder, name="mortal-peer")
    yield peer
    peer.stop()


def timed_get(site: Site, target: str) -> tuple[Reply, float]:
    began = time.monotonic()
    return get(site.url, target), time.monotonic() - began


@pytest.mark.parametrize(
    "backend_url",
    ["http://127.0.0.1:{closed}", "http://no-such-host.invalid:80", "https://127.0.0.1:{plain}"],
    ids=["refused", "unknown name", "not TLS"],
)
def test_a_backend_that_cannot_be_reached_is_told_at_once(
    backend_url: str, serve_fresh: Serve, httpbin: Httpbin
) -> None:
    address = backend_url.format(closed=free_port(), plain=httpbin.url.rpartition(":")[2])
    site = serve_fresh(address)

    reply, took = timed_get(site, "/")

    assert (reply.status, reply.reason) == (502, "backend-unreachable")
    assert took < AT_ONCE
    assert site.agents[0].is_running


def test_a_backend_that_comes_back_is_served_again_by_the_same_agent(serve_fresh: Serve, folder: Path) -> None:
    port = free_port()
    site = serve_fresh(f"http://127.0.0.1:{port}")
    assert get(site.url, "/echo").status == 502
    late = Peer(folder, name="late-peer", port=port)

    reply = get(site.url, "/echo")

    late.stop()
    assert reply.status == 200


def test_a_backend_that_resets_the_connection_is_told_at_once(site: Site) -> None:
    reply, took = timed_get(site, "/reset")

    assert (reply.status, reply.reason) == (502, "backend-broke")
    assert took < AT_ONCE


def test_a_backend_that_never_answers_is_a_time_out(site: Site) -> None:
    reply, took = timed_get(site, "/hang")

    assert (reply.status, reply.reason) == (504, "timeout")
    assert RESPONSE_TIMEOUT - 1 < took < RESPONSE_TIMEOUT + 2 * SECOND


def test_an_answer_that_ends_before_its_head_is_a_broken_one(site: Site) -> None:
    reply = get(site.url, f"/raw?hex={b'HTTP/1.1 200 OK'.hex()}")

    assert reply.status == 502
    assert reply.reason


@FRAMINGS
def test_an_answer_that_the_backend_breaks_off_is_never_shown_as_whole(framing: str, site: Site) -> None:
    try:
        reply = get(site.url, f"/die-after?n=1000&of=2000{framing}")
    except Disconnected:
        return

    assert reply.status == 502 or not reply.is_whole


def read_some_then(site: Site, framing: str, end_it: Process) -> tuple[Reply, float]:
    """Get the drip; when 3 MB of it are here, `end_it`; the reply, and how long its end took."""
    with Connection(site.url) as connection:
        connection.send(request_bytes("GET", DRIP + framing, host=connection.host))
        connection.read_at_least(3_000_000)
        began = time.monotonic()
        end_it.kill()
        return connection.read_reply(), time.monotonic() - began


@FRAMINGS
def test_an_answer_whose_agent_is_killed_is_never_shown_as_whole(framing: str, serve_fresh: Serve, peer: Peer) -> None:
    site = serve_fresh(peer.url)

    reply, took = read_some_then(site, framing, site.agents[0])

    assert (reply.status, reply.is_whole) == (200, False)
    assert took < IDLE_TIMEOUT + 2 * SECOND


@FRAMINGS
def test_an_answer_whose_backend_is_killed_is_never_shown_as_whole(
    framing: str, serve_fresh: Serve, mortal_peer: Peer
) -> None:
    site = serve_fresh(mortal_peer.url)

    reply, took = read_some_then(site, framing, mortal_peer.process)

    assert (reply.status, reply.is_whole) == (200, False)
    assert took < 5 * SECOND


@pytest.mark.parametrize("target", ["/reset", "/die-after?n=10&of=20", f"/raw?hex={b'garbage'.hex()}", "/raw?hex="])
def test_an_agent_survives_it_and_serves_the_next_request(target: str, site: Site) -> None:
    with contextlib.suppress(Disconnected):
        get(site.url, target)

    assert get(site.url, "/echo").status == 200
