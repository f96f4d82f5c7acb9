"""Exchanges as they lie in the simulated Datastore: versions, the index that polls ask, and which writes meet where."""

from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.simulation.datastore import Commits, Datastore, Spots
from benchmarks.simulation.engine import Engine, Process
from benchmarks.simulation.inputs import RANGE, REMOVED_EVERY
from benchmarks.simulation.measures import Gauge
from broker import exchange as rules
from broker.model import Exchange
from broker.policy import Policy
from wire.protocol import BackendId, RequestId


@dataclass(slots=True, eq=False)
class Cell:
    """An entity: an exchange, and how often it was written."""

    exchange: Exchange
    version: int = 0
    instance: int = -1
    """Of the agents' service, the one that named or wrote it last: that remembers it."""
    named: dict[int, float] = field(default_factory=dict)
    """Until when each of these instances names it to nobody else."""
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """An exchange as a query or a look-up found it."""

    cell: Cell
    exchange: Exchange
    version: int


class Exchanges:
    """The exchanges of all backends."""

    def __init__(self, engine: Engine, datastore: Datastore, policy: Policy, queued: Gauge) -> None:
        self._engine = engine
        self._datastore = datastore
        self._policy = policy
        self._queued = queued
        self._waiting: dict[BackendId, OrderedDict[RequestId, Cell]] = {}
        self._additions = defaultdict[int, Commits](self._new_commits)
        self._replacements = defaultdict[int, Commits](self._new_commits)
        self._removed_at: dict[int, float] = {}

    def insert(self, cell: Cell, *, instance: int) -> Process[None]:
        """Queue, by an instance of the users' service. Raises `Contended`."""
        backend_id = cell.exchange.backend_id
        yield from self._additions[instance].commit([_index_end(backend_id)])
        self._waiting.setdefault(backend_id, OrderedDict())[cell.exchange.request_id] = cell
        self._queued.add(1)

    def name(self, backend_id: BackendId, *, instance: int, most: int) -> Process[list[Cell]]:
        """What an instance of the agents' service names in a poll, oldest first: what it has named to nobody else."""
        yield from self._datastore.query()
        now, seconds = self._engine.now(), self._engine.seconds
        named: list[Cell] = []
        for cell in self._waiting.get(backend_id, {}).values():
            if len(named) >= most:
                break
            is_free = cell.named.get(instance, 0.0) <= seconds
            if is_free and rules.is_claimable(cell.exchange, now, policy=self._policy):
                cell.named[instance] = seconds + self._policy.name_lease.total_seconds()
                cell.instance = instance
                named.append(cell)
        return named

    def store_each(self, found: Sequence[Found], changed: Sequence[Exchange], *, instance: int) -> Process[list[Cell]]:
        """Write each that nobody has written since it was found; those. Raises `Contended`."""
        changes = [() if rules.is_taken(each.exchange) else _index_end(each.exchange.backend_id) for each in found]
        yield from self._replacements[instance].commit(changes)
        return [
            each.cell
            for each, exchange in zip(found, changed, strict=True)
            if self._write(each, exchange, instance=instance)
        ]

    def load(self, cells: Sequence[Cell]) -> Process[list[Found]]:
        """Look them up, all at the same time."""
        yield from self._datastore.lookups(len(cells))
        return [Found(cell, cell.exchange, cell.version) for cell in cells]

    def delete(self, cell: Cell) -> Process[None]:
        """Remove what its user has given up."""
        self._remove(cell)
        yield self._datastore.begin_commit()

    def deliver(self, cell: Cell, *, instance: int) -> None:
        """Remove it off the path of requests, together with others that this instance has delivered."""
        self._remove(cell)
        now = self._engine.seconds
        if now - self._removed_at.get(instance, -REMOVED_EVERY) >= REMOVED_EVERY:
            self._removed_at[instance] = now
            self._datastore.begin_commit()

    def _remove(self, cell: Cell) -> None:
        self._leave_index(cell)
        cell.is_deleted = True

    def _new_commits(self) -> Commits:
        return Commits(self._engine, self._datastore)

    def _write(self, found: Found, exchange: Exchange, *, instance: int) -> bool:
        cell = found.cell
        if cell.is_deleted or cell.version != found.version:
            return False
        cell.exchange, cell.instance = exchange, instance
        cell.version += 1
        if rules.is_taken(exchange):
            self._leave_index(cell)
        return True

    def _leave_index(self, cell: Cell) -> None:
        waiting = self._waiting.get(cell.exchange.backend_id)
        if waiting and waiting.pop(cell.exchange.request_id, None):
            self._queued.add(-1)


def _index_end(backend_id: BackendId) -> Spots:
    """Where an entry with the present time goes: the end of what this backend has in the index."""
    return [(("the index of a backend", backend_id), RANGE)]
