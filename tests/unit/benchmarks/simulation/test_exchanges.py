from datetime import timedelta
from random import Random

from benchmarks.simulation.datastore import Datastore
from benchmarks.simulation.engine import Engine, Process
from benchmarks.simulation.exchanges import Cell, Exchanges, Found
from benchmarks.simulation.inputs import BEFORE, TODAY, Design
from benchmarks.simulation.measures import Gauge
from broker import exchange as rules
from broker.model import Exchange, State
from broker.policy import Policy
from wire.protocol import BackendId, RequestId

BACKEND = BackendId("b0")
POLICY = Policy()


class Site:
    """Exchanges in a simulated Datastore."""

    def __init__(self, design: Design = BEFORE) -> None:
        self.engine = Engine()
        self.datastore = Datastore(self.engine, Random(1))
        self.queued = Gauge()
        self.exchanges = Exchanges(self.engine, self.datastore, design, POLICY, self.queued)

    def add(self, name: str) -> Cell:
        now = self.engine.now()
        cell = Cell(Exchange(RequestId(name), BACKEND, "u@example.org", "GET", now, now + timedelta(seconds=60)))
        self.engine.spawn(self.exchanges.insert(cell))
        self.pass_time()
        return cell

    def pass_time(self) -> None:
        self.engine.run(until=self.engine.seconds + 2)

    def find(self, limit: int = 10) -> list[Found]:
        found: list[Found] = []

        def look() -> Process[None]:
            found.extend((yield from self.exchanges.query(BACKEND, limit=limit)))

        self.engine.spawn(look())
        self.pass_time()
        return found

    def claim(self, found: list[Found], agent_id: str) -> list[Cell]:
        won: list[Cell] = []
        changed = [
            rules.fetch(each.exchange, agent_id=agent_id, now=self.engine.now(), policy=POLICY) for each in found
        ]

        def write() -> Process[None]:
            won.extend((yield from self.exchanges.store_each(found, changed, instance=0)))

        self.engine.spawn(write())
        self.pass_time()
        return won


def test_a_poll_finds_what_waits_oldest_first_and_no_more_than_it_asks_for() -> None:
    site = Site()
    first, second, _ = site.add("r1"), site.add("r2"), site.add("r3")
    assert [each.cell for each in site.find(limit=2)] == [first, second]


def test_of_two_who_found_an_exchange_one_gets_it() -> None:
    site = Site()
    cell = site.add("r1")
    found, found_too = site.find(), site.find()
    assert site.claim(found, "a1") == [cell]
    assert site.claim(found_too, "a2") == []
    assert (cell.exchange.state, cell.exchange.agent_id) == (State.FETCHED, "a1")


def test_what_was_taken_is_found_no_more() -> None:
    site = Site()
    site.add("r1")
    assert site.queued.now == 1
    site.claim(site.find(), "a1")
    assert site.find() == []
    assert site.queued.now == 0


def test_what_was_deleted_is_neither_found_nor_written() -> None:
    site = Site()
    cell = site.add("r1")
    found = site.find()
    site.engine.spawn(site.exchanges.delete(cell))
    site.pass_time()
    assert site.find() == []
    assert site.claim(found, "a1") == []


def test_an_index_by_time_is_one_place_for_all_backends() -> None:
    site = Site(BEFORE)
    site.add("r1")
    assert set(site.datastore.spots()) == {("the index of a backend", BACKEND), ("the index by time",)}


def test_without_one_the_backends_write_at_places_of_their_own() -> None:
    site = Site(TODAY)
    site.add("r1")
    assert set(site.datastore.spots()) == {("the index of a backend", BACKEND)}


def test_whoever_writes_what_no_longer_stands_in_the_index_writes_elsewhere() -> None:
    site = Site(TODAY)
    cell = site.add("r1")
    site.claim(site.find(), "a1")
    spot = site.datastore.spots()["the index of a backend", BACKEND]
    assert spot.writes == 2
    answered = rules.answer(cell.exchange, agent_id="a1", last=True, now=site.engine.now(), policy=POLICY)
    found = Found(cell, cell.exchange, cell.version)
    site.engine.spawn(_store(site, found, answered))
    site.pass_time()
    assert (cell.exchange.state, spot.writes) == (State.ANSWERED, 2)


def _store(site: Site, found: Found, changed: Exchange) -> Process[None]:
    yield from site.exchanges.store_each([found], [changed], instance=0)
