"""What Datastore may do to the services: be away for a while, or be full of what nobody wants any more."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from google.cloud import datastore
from google.cloud.ndb import Client

from benchmarks.usage import members
from broker.clock import SystemClock
from broker.policy import Policy
from stores.datastore.conditional import Datastore, put
from stores.datastore.exchange_records import EXCHANGE, LOST_POLL, PART_KINDS, Layout, Record
from stores.datastore.store import DatastoreStore
from tests.emulator import connect
from tests.factories import an_exchange
from tests.system.backends import Peer
from tests.system.peers import pattern
from tests.system.rawhttp import Reply, call, get
from tests.system.shapes import ADMIN, PROJECT, AppEngine, Site
from tests.timing import SECOND, wait_until

OUTAGE: Final = 10 * SECOND
ABANDONED: Final = 10_000
WITH_PARTS: Final = 100


@pytest.fixture
def services(folder: Path) -> Iterator[AppEngine]:
    """Services of the test's own, whose emulator it may stop and fill."""
    services = AppEngine(folder)
    yield services
    services.stop()


@pytest.fixture
def site(services: AppEngine, peer: Peer, folder: Path) -> Iterator[Site]:
    site = Site(services, peer.url, backend_id="trouble", folder=folder)
    site.start_agent()
    site.wait_until_online()
    yield site
    site.close()


@pytest.fixture
def client(services: AppEngine) -> Client:
    """The services' database."""
    return connect(services.datastore_host, namespace="", project=PROJECT)


@contextmanager
def away(services: AppEngine) -> Iterator[None]:
    """Datastore takes connections and answers nothing."""
    pids = members(services.emulator.pid)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def causes_in(log: Path) -> int:
    """Lines that say why somebody was told that Datastore is away."""
    return sum(" WARNING " in line and " store-unavailable: " in line for line in log.read_text("utf-8").splitlines())


def sweep(services: AppEngine) -> Reply:
    return call(services.api_url, "POST", "/cron/delete", fields=[("Authorization", f"Bearer dev:{ADMIN}")])


def plant(client: Client, backend_id: str) -> None:
    """Exchanges that nobody waits for any more; some with bytes beside them."""
    long_ago = SystemClock().now() - timedelta(hours=1)
    old = [
        an_exchange(f"old-{number}", backend_id=backend_id, started=long_ago, expires=long_ago)
        for number in range(ABANDONED)
    ]
    store, raw = DatastoreStore(client, Policy()), Datastore(client, timeout=60 * SECOND)
    for exchange in old[:WITH_PARTS]:
        store.add_exchange(exchange, pattern(40_000), last=True)
    raw.commit_each([put(Layout(raw).entity(Record(exchange))) for exchange in old[WITH_PARTS:]])


def count(client: Client) -> int:
    """Entities of every kind that an exchange leaves."""
    kinds = (EXCHANGE, *PART_KINDS, LOST_POLL)
    return sum(len(page) for kind in kinds for page in Datastore(client).query(kind, keys_only=True))


def test_while_datastore_is_away_users_are_told_so_soon_and_afterwards_all_is_well_without_a_restart(
    services: AppEngine, site: Site, peer: Peer, folder: Path
) -> None:
    began = time.monotonic()

    def ask(number: int) -> tuple[int, float]:
        asked_at = time.monotonic()
        reply = call(site.url, "POST", "/echo", fields=[("X-Test-Id", f"away-{number}-")], body=b"x")
        return reply.status, time.monotonic() - asked_at

    with ThreadPoolExecutor(100) as users:
        with away(services):
            asked = []
            until = time.monotonic() + OUTAGE
            while time.monotonic() < until:
                asked.append(users.submit(ask, len(asked)))
                time.sleep(0.1)
        back = time.monotonic()
        wait_until(lambda: ask(1000)[0] == 200, within=20 * SECOND, what="an answer")
        recovered = time.monotonic() - back
        outcomes = [each.result() for each in asked]

    assert {status for status, _ in outcomes} <= {200, 502, 503, 504}
    assert [status for status, _ in outcomes].count(503) > len(outcomes) / 2
    assert max(seconds for status, seconds in outcomes if status == 503) < 5 * SECOND
    assert recovered < 5 * SECOND
    for name in ("proxy_service", "agent_service"):
        assert causes_in(folder / f"{name}.log") <= time.monotonic() - began
    names = [note.id for note in peer.notes_of("away-") if not note.id.startswith("away-1000")]
    assert len(names) == len(set(names))


def test_abandoned_requests_reach_no_agent_hide_no_new_one_and_leave_nothing(
    services: AppEngine, site: Site, peer: Peer, client: Client
) -> None:
    seen = len(peer.notes())
    plant(client, site.backend_id)
    # The first may come between two looks for a backend that nobody uses, the second to an agent that expects it.
    for limit in (3 * SECOND, SECOND):
        began = time.monotonic()
        assert get(site.url, "/echo").status == 200
        assert time.monotonic() - began < limit
    assert len(peer.notes()) == seen + 2
    assert sweep(services).body.startswith(b'{"exchanges": %d,' % ABANDONED)
    wait_until(lambda: count(client) == 0, within=5 * SECOND, what="nothing left")


def test_a_sweep_that_never_rests_takes_what_has_no_date_and_nothing_of_the_living(
    services: AppEngine, site: Site, client: Client
) -> None:
    raw = Datastore(client)
    raw.commit([put(datastore.Entity(raw.key(EXCHANGE, "id:planted")))])
    expected = pattern(2_000_000)

    def ask(_: int) -> bool:
        reply = get(site.url, "/big?n=2000000")
        return reply.status == 200 and reply.body == expected

    with ThreadPoolExecutor(4) as users:
        asked = [users.submit(ask, number) for number in range(60)]
        swept = []
        while not all(each.done() for each in asked):
            swept.append(sweep(services).status)
        assert all(each.result() for each in asked)
    assert len(swept) > 10
    assert set(swept) == {200}
    assert raw.lookup([raw.key(EXCHANGE, "id:planted")]) == {}
