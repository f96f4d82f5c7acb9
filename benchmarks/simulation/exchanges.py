"""Exchanges as they lie in the simulated Datastore: versions, the index that polls ask, and which writes meet where."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from benchmarks.simulation.datastore import Datastore
from benchmarks.simulation.engine import Engine, Process
from benchmarks.simulation.inputs import RANGE, Design, Limit
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
    """Of the agents' service, the one that wrote it last: that remembers it."""
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """An exchange as a query or a look-up found it."""

    cell: Cell
    exchange: Exchange
    version: int


class Exchanges:
    """The exchanges of all backends."""

    def __init__(self, engine: Engine, datastore: Datastore, design: Design, policy: Policy, queued: Gauge) -> None:
        self._engine = engine
        self._datastore = datastore
        self._design = design
        self._policy = policy
        self._queued = queued
        self._waiting: dict[BackendId, OrderedDict[RequestId, Cell]] = {}

    def insert(self, cell: Cell) -> Process[None]:
        """Queue. Raises `Contended`."""
        backend_id = cell.exchange.backend_id
        yield from self._datastore.commit(self._index_ends(backend_id))
        self._waiting.setdefault(backend_id, OrderedDict())[cell.exchange.request_id] = cell
        self._queued.add(1)

    def query(self, backend_id: BackendId, *, limit: int) -> Process[list[Found]]:
        """What a poll may take, oldest first."""
        yield from self._datastore.query()
        now = self._engine.now()
        found: list[Found] = []
        for cell in self._waiting.get(backend_id, {}).values():
            if len(found) >= limit:
                break
            if rules.is_claimable(cell.exchange, now, policy=self._policy):
                found.append(Found(cell, cell.exchange, cell.version))
        return found

    def store_each(self, found: Sequence[Found], changed: Sequence[Exchange], *, instance: int) -> Process[list[Cell]]:
        """Write each that nobody has written since it was found, in one call; those. Raises `Contended`."""
        is_in_index = [not rules.is_taken(each.exchange) for each in found]
        spots = [spot for each, is_in in zip(found, is_in_index, strict=True) if is_in for spot in self._ends_of(each)]
        yield from self._datastore.commit(spots)
        return [
            each.cell
            for each, exchange in zip(found, changed, strict=True)
            if self._write(each, exchange, instance=instance)
        ]

    def load(self, cell: Cell) -> Process[Found]:
        """Look it up."""
        yield from self._datastore.lookup()
        return Found(cell, cell.exchange, cell.version)

    def delete(self, cell: Cell) -> Process[None]:
        """Remove it. What was never taken still stands in the index; raises `Contended`."""
        self._leave_index(cell)
        cell.is_deleted = True
        yield from self._datastore.commit()

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

    def _ends_of(self, found: Found) -> list[tuple[Hashable, Limit]]:
        return self._index_ends(found.exchange.backend_id)

    def _index_ends(self, backend_id: BackendId) -> list[tuple[Hashable, Limit]]:
        """Where an entry with the present time goes: the end of what this backend has, and of what there is at all."""
        ends: list[tuple[Hashable, Limit]] = [(("the index of a backend", backend_id), RANGE)]
        return [*ends, (("the index by time",), RANGE)] if self._design.is_time_indexed else ends
