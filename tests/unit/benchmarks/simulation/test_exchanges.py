from datetime import timedelta
from random import Random

from benchmarks.simulation.datastore import Datastore
from benchmarks.simulation.engine import Engine, Process
from benchmarks.simulation.exchanges import Cell, Exchanges, Found
from benchmarks.simulation.inputs import REMOVED_EVERY
from benchmarks.simulation.measures import Gauge
from broker import exchange as rules
from broker.model import Exchange, State
from broker.policy import Policy
from wire.protocol import BackendId, RequestId

BACKEND = BackendId("b0")
POLICY = Policy()


def found_now(cell: Cell) -> Found:
    return Found(cell, cell.exchange, cell.version)


class Site:
    """Exchanges in a simulated Datastore."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.datastore = Datastore(self.engine, Random(1))
        self.queued = Gauge()
        self.exchanges = Exchanges(self.engine, self.datastore, POLICY, self.queued)

    def add(self, name: str) -> Cell:
        now = self.engine.now()
        cell = Cell(Exchange(RequestId(name), BACKEND, "u@example.org", "GET", now, now + timedelta(seconds=60)))
        self.engine.spawn(self.exchanges.insert(cell, instance=0))
        self.pass_time()
        return cell

    def pass_time(self) -> None:
        self.engine.run(until=self.engine.seconds + 2)

    def name(self, *, instance: int = 0, most: int = 10) -> list[Cell]:
        named: list[Cell] = []

        def look() -> Process[None]:
            named.extend((yield from self.exchanges.name(BACKEND, instance=instance, most=most)))

        self.engine.spawn(look())
        self.engine.run(until=self.engine.seconds + POLICY.name_lease.total_seconds() / 4)
        return named

    def claim(self, cells: list[Cell], agent_id: str) -> list[Cell]:
        return self.write([found_now(cell) for cell in cells], agent_id)

    def write(self, found: list[Found], agent_id: str) -> list[Cell]:
        won: list[Cell] = []
        changed = [
            rules.fetch(each.exchange, agent_id=agent_id, now=self.engine.now(), policy=POLICY) for each in found
        ]

        def write() -> Process[None]:
            won.extend((yield from self.exchanges.store_each(found, changed, instance=0)))

        self.engine.spawn(write())
        self.pass_time()
        return won


def test_a_poll_is_named_what_waits_oldest_first_and_no_more_than_it_asks_for() -> None:
    site = Site()
    first, second, _ = site.add("r1"), site.add("r2"), site.add("r3")
    assert site.name(most=2) == [first, second]


def test_an_instance_names_a_request_to_one_poll_and_another_instance_does_not_know_of_it() -> None:
    site = Site()
    cell = site.add("r1")
    assert site.name(instance=0) == [cell]
    assert site.name(instance=0) == []
    assert site.name(instance=1) == [cell]


def test_what_was_named_and_not_fetched_is_named_again_after_the_lease() -> None:
    site = Site()
    cell = site.add("r1")
    site.name()
    site.engine.run(until=site.engine.seconds + POLICY.name_lease.total_seconds())
    assert site.name() == [cell]


def test_of_two_who_found_an_exchange_one_gets_it() -> None:
    site = Site()
    cell = site.add("r1")
    found, found_too = [found_now(cell)], [found_now(cell)]
    assert site.write(found, "a1") == [cell]
    assert site.write(found_too, "a2") == []
    assert (cell.exchange.state, cell.exchange.agent_id) == (State.FETCHED, "a1")


def test_what_was_taken_is_named_no_more() -> None:
    site = Site()
    site.add("r1")
    assert site.queued.now == 1
    site.claim(site.name(), "a1")
    assert site.name(instance=1) == []
    assert site.queued.now == 0


def test_what_was_deleted_is_neither_named_nor_written() -> None:
    site = Site()
    cell = site.add("r1")
    site.engine.spawn(site.exchanges.delete(cell))
    site.pass_time()
    assert site.name() == []
    assert site.claim([cell], "a1") == []


def test_what_an_instance_delivers_within_a_moment_goes_in_one_call() -> None:
    site = Site()
    cells = [site.add("r1"), site.add("r2"), site.add("r3")]
    site.claim(cells, "a1")
    before = site.datastore.calls["Commit"]
    site.exchanges.deliver(cells[0], instance=0)
    site.exchanges.deliver(cells[1], instance=0)
    site.engine.run(until=site.engine.seconds + REMOVED_EVERY)
    site.exchanges.deliver(cells[2], instance=0)
    assert site.datastore.calls["Commit"] == before + 2
    assert all(cell.is_deleted for cell in cells)


def test_each_backend_writes_at_a_place_of_its_own() -> None:
    site = Site()
    site.add("r1")
    assert set(site.datastore.spots()) == {("the index of a backend", BACKEND)}


def test_whoever_writes_what_no_longer_stands_in_the_index_writes_elsewhere() -> None:
    site = Site()
    cell = site.add("r1")
    site.claim([cell], "a1")
    spot = site.datastore.spots()["the index of a backend", BACKEND]
    assert spot.writes == 2
    answered = rules.answer(cell.exchange, agent_id="a1", last=True, now=site.engine.now(), policy=POLICY)
    site.engine.spawn(_store(site, found_now(cell), answered))
    site.pass_time()
    assert (cell.exchange.state, spot.writes) == (State.ANSWERED, 2)


def _store(site: Site, found: Found, changed: Exchange) -> Process[None]:
    yield from site.exchanges.store_each([found], [changed], instance=0)
