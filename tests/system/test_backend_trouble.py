"""A backend that is slow or breaks the rules, while its agent serves on (row 31 of the table of promises)."""

import contextlib
import time

import pytest

from tests.system.rawhttp import Disconnected, Reply, get
from tests.system.shapes import RESPONSE_TIMEOUT, Site
from tests.timing import SECOND

FRAMINGS = pytest.mark.parametrize("framing", ["", "&chunked"], ids=["length", "chunked"])


def timed_get(site: Site, target: str) -> tuple[Reply, float]:
    began = time.monotonic()
    return get(site.url, target), time.monotonic() - began


def test_a_backend_that_resets_the_connection_is_told_at_once(site: Site, at_once: float) -> None:
    reply, took = timed_get(site, "/reset")

    assert (reply.status, reply.reason) == (502, "backend-broke")
    assert f"(backend-broke, trace {reply.get('X-Inverting-Proxy-Trace-ID')})" in reply.body.decode()
    assert took < at_once


def test_a_backend_that_never_answers_is_a_time_out(site: Site) -> None:
    reply, took = timed_get(site, "/hang")

    assert (reply.status, reply.reason) == (504, "timeout")
    assert RESPONSE_TIMEOUT - 1 < took < RESPONSE_TIMEOUT + 2 * SECOND


def test_an_answer_that_ends_before_its_head_is_a_broken_one(site: Site) -> None:
    reply = get(site.url, f"/raw?hex={b'HTTP/1.1 200 OK'.hex()}")

    assert reply.status == 502
    assert reply.reason


@pytest.mark.parametrize("sent", [0, 1000])
@FRAMINGS
def test_an_answer_that_the_backend_breaks_off_is_never_shown_as_whole(sent: int, framing: str, site: Site) -> None:
    try:
        reply = get(site.url, f"/die-after?n={sent}&of=2000{framing}")
    except Disconnected:
        return

    assert not reply.is_whole or (reply.status, bool(reply.reason)) == (502, True)


@pytest.mark.parametrize("target", ["/reset", "/die-after?n=10&of=20", f"/raw?hex={b'garbage'.hex()}", "/raw?hex="])
def test_an_agent_survives_it_and_serves_the_next_request(target: str, site: Site) -> None:
    with contextlib.suppress(Disconnected):
        get(site.url, target)

    assert get(site.url, "/echo").status == 200
