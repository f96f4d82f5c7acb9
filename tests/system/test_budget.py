"""What requests, waits and lists cost in calls to Datastore: three services and an agent as processes, counted on the
way to the emulator. With hints in a memcached, but where it says otherwise."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final, Literal

import pytest

from benchmarks.programs import Missing
from stores.datastore.exchange_records import PART_KINDS
from tests.datastore_relay import DatastoreRelay
from tests.memcached import start_memcached
from tests.system.backends import Peer
from tests.system.rawhttp import call, get
from tests.system.shapes import ADMIN, AppEngine, Site
from tests.timing import SECOND, wait_until

SMALL: Final = 20
"""Requests: what is known of backends is read again every few seconds, on account of some of them."""

SLOW: Final = 3
LOOKS: Final = 12
PATIENCE: Final = 60 * SECOND


class Counted:
    """A site, and what its programs call."""

    def __init__(self, site: Site, relay: DatastoreRelay) -> None:
        self.site = site
        self.relay = relay

    def entities(self, what: Literal["read", "written", "deleted"]) -> Counter[str]:
        """How many were named by the calls, by kind; of a query one."""
        return Counter(kind for each in list(self.relay.calls) for kind in getattr(each, what))

    def ask(self, target: str, *, times: int) -> None:
        """Make requests one after the other, after one that nothing is known of; return when all are removed."""
        get(self.site.url, target)
        self.wait_for("deleted", 1)
        self.relay.calls.clear()
        for _ in range(times):
            assert get(self.site.url, target).status == 200
        self.wait_for("deleted", times)

    def wait_for(self, what: Literal["read", "deleted"], count: int) -> None:
        """Return when so many exchanges were."""
        wait_until(lambda: self.entities(what)["exchange"] >= count, within=PATIENCE, what=f"{count} {what}")


@contextmanager
def counted(peer: Peer, folder: Path, **settings: str) -> Iterator[Counted]:
    """As long as the block."""
    with ExitStack() as stack:
        relays: list[DatastoreRelay] = []

        def reach(emulator: str) -> str:
            relays.append(stack.enter_context(closing(DatastoreRelay(emulator))))
            return relays[0].host

        shape = AppEngine(folder, reach=reach, BACKENDS_AGE="5s", **settings)
        stack.callback(shape.stop)
        site = Site(shape, peer.url, backend_id="counted", folder=folder)
        stack.callback(site.start_agent().kill)
        site.wait_until_online()
        yield Counted(site, relays[0])


@pytest.fixture(scope="module")
def hinted(peer: Peer, folder: Path) -> Iterator[Counted]:
    try:
        memcached, port = start_memcached(folder / "memcached.log")
    except Missing as missing:
        pytest.skip(f"NOT TESTED with hints: {missing}")
    with counted(peer, folder, MEMCACHE=f"127.0.0.1:{port}") as hinted:
        yield hinted
    memcached.kill()


@pytest.fixture
def unhinted(peer: Peer, folder: Path) -> Iterator[Counted]:
    with counted(peer, folder) as unhinted:
        yield unhinted


def test_a_small_request_costs_eight_calls_and_is_written_three_times(hinted: Counted) -> None:
    hinted.ask("/echo", times=SMALL)
    assert len(hinted.relay.calls) <= 8 * SMALL, hinted.relay.methods()
    assert hinted.entities("written")["exchange"] == 3 * SMALL
    assert set(hinted.entities("written")) <= {"exchange", "backendStatus"}
    assert hinted.entities("deleted") == {"exchange": SMALL}


def test_a_request_costs_fifteen_calls_while_its_backend_takes_two_seconds(hinted: Counted) -> None:
    hinted.ask("/sleep?ms=2000", times=SLOW)
    assert len(hinted.relay.calls) <= 15 * SLOW, hinted.relay.methods()


def test_without_hints_it_costs_twenty_more(unhinted: Counted) -> None:
    unhinted.ask("/sleep?ms=2000", times=SLOW)
    assert len(unhinted.relay.calls) <= 35 * SLOW, unhinted.relay.methods()


def test_bodies_are_read_for_those_to_whom_they_go(hinted: Counted) -> None:
    body = bytes(2_500_000)
    hinted.relay.calls.clear()
    assert call(hinted.site.url, "POST", "/echo", body=body).body == body
    hinted.wait_for("deleted", 1)
    read, written = hinted.entities("read"), hinted.entities("written")
    for kind in PART_KINDS:
        # Who has read what there is asks for what comes next, along with the state.
        assert written[kind] <= read[kind] <= 2 * written[kind]


def test_an_idle_agent_looks_less_than_once_a_second_without_hints(unhinted: Counted) -> None:
    unhinted.relay.calls.clear()
    unhinted.wait_for("read", LOOKS)  # the pauses between them grow
    unhinted.relay.calls.clear()
    began = time.monotonic()
    unhinted.wait_for("read", LOOKS)
    assert time.monotonic() - began > LOOKS
    # Two polls have begun meanwhile, at most: each reads the registration and its status, and notes that it was there.
    read = unhinted.entities("read")
    assert read["backend"] + read["backendStatus"] <= 2 * 3
    assert unhinted.entities("written").total() <= 2


def test_backends_are_listed_in_two_calls_however_many_there_are(unhinted: Counted) -> None:
    shape, relay = unhinted.site.shape, unhinted.relay
    assert isinstance(shape, AppEngine)
    for agent in unhinted.site.agents:
        agent.kill()
    for number in range(50):
        shape.register(f"another-{number}")
    relay.calls.clear()
    reply = call(shape.api_url, "GET", "/api/backends", fields=[("Authorization", f"Bearer dev:{ADMIN}")])
    assert len(json.loads(reply.body)) == 51
    # The polls of an agent that was killed go on looking for exchanges for a while.
    listing = Counter(each.method for each in relay.calls if "exchange" not in each.read)
    assert listing == {"RunQuery": 1, "Lookup": 1}
