"""Users, agents and the services between them, by the rules of `broker`."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import TypeVar

from benchmarks.simulation.datastore import Contended, Datastore
from benchmarks.simulation.engine import Engine, Process
from benchmarks.simulation.exchanges import Cell, Exchanges, Found
from benchmarks.simulation.inputs import (
    AGENT_CONCURRENCY,
    AGENT_RATE,
    BACKEND_TIME,
    FETCHED_TOGETHER,
    INSTANCE_RATE,
    ROUND_TRIP,
    THREADS,
    Design,
    Size,
)
from benchmarks.simulation.measures import Measures
from benchmarks.simulation.registrations import Registrations
from broker import exchange as rules
from broker.errors import BackendOffline, ClaimedElsewhere, NoAnswer, UnknownRequest
from broker.model import Exchange, State
from broker.policy import Policy, hint_interval, idle_interval, polling_interval
from wire.protocol import BackendId, RequestId

T = TypeVar("T")

Spacing = Callable[[timedelta, Policy], timedelta]
"""A rule of the policy: what to wait before the next look."""


class Services:
    """Instances of both services, users before them and agents behind them."""

    def __init__(
        self,
        engine: Engine,
        datastore: Datastore,
        random: Random,
        *,
        design: Design,
        size: Size,
        policy: Policy,
        measures: Measures,
    ) -> None:
        self._engine = engine
        self._datastore = datastore
        self._random = random
        self._design = design
        self._size = size
        self._policy = policy
        self._measures = measures
        self._exchanges = Exchanges(engine, datastore, policy, measures.queued)
        self._registrations = Registrations(engine, datastore, policy, backends=size.backends)
        self.agents = max(1, math.ceil(size.rate / size.backends / AGENT_RATE))
        self.user_instances = math.ceil(size.rate / INSTANCE_RATE)
        self.agent_instances = max(math.ceil(size.backends * self.agents / THREADS), self.user_instances)
        self._changes: dict[BackendId, int] = {}
        self._ids = 0
        self._spacings: dict[tuple[str, int], float] = {}
        self._heard: dict[BackendId, float] = {}
        self._looks: dict[tuple[int, BackendId], tuple[int, float]] = {}
        hinted = design.has_hints
        self._patience = (policy.hinted_slowest if hinted else policy.poll_slowest).total_seconds()
        self._look_counts_for = (policy.hinted_idle if hinted else policy.poll_fastest).total_seconds()

    def start(self) -> None:
        """Agents begin to poll, one after the other within two seconds; users come."""
        for number in range(self._size.backends):
            for agent in range(self.agents):
                self._engine.spawn(self._agent(number, f"a{agent}"), after=2 * self._random.random())
        self._engine.spawn(self._arrivals())

    def _arrivals(self) -> Process[None]:
        while True:
            yield self._random.expovariate(self._size.rate)
            self._engine.spawn(self._user(self._random.randrange(self._size.backends)))

    # A user

    def _user(self, number: int) -> Process[None]:
        began = self._engine.seconds
        self._measures.arrived += 1
        self._measures.users.add(1)
        instance = self._random.randrange(self.user_instances)
        try:
            cell = yield from self._serve(number, instance)
            self._measures.latencies.append(self._engine.seconds - began)
            self._exchanges.deliver(cell, instance=instance)
        except (BackendOffline, Contended, NoAnswer) as exc:
            self._measures.failures[type(exc).__name__] += 1
        self._measures.users.add(-1)

    def _serve(self, number: int, instance: int) -> Process[Cell]:
        backend = yield from self._registrations.route(number, instance=instance)
        yield from self._registrations.touch(number, "used", instance=instance)
        cell = Cell(self._exchange(backend.backend_id, backend.end_user))
        yield from self._exchanges.insert(cell, instance=instance)
        self._changes[backend.backend_id] = self._changes.get(backend.backend_id, 0) + 1
        try:
            yield from self._wait_for_answer(cell)
        except (BackendOffline, NoAnswer):
            yield from self._exchanges.delete(cell)
            raise
        return cell

    def _exchange(self, backend_id: BackendId, user: str) -> Exchange:
        self._ids += 1
        now = self._engine.now()
        request_id = RequestId(f"r{self._ids}")
        return Exchange(request_id, backend_id, user, "GET", now, now + self._policy.exchange_ttl)

    def _wait_for_answer(self, cell: Cell) -> Process[None]:
        """Raises `BackendOffline` and `NoAnswer` as `broker.waiting.wait_for_answer` does."""
        began = looked = self._engine.seconds
        while True:
            yield from self._pause(began, polling_interval)
            if self._design.has_hints:
                if cell.exchange.state is State.ANSWERED:
                    return  # the hint has the answer
                if self._engine.seconds - looked < self._patience:
                    continue
            (found,) = yield from self._exchanges.load([cell])
            looked = self._engine.seconds
            if found.exchange.state is State.ANSWERED:
                return
            waited = self._engine.now() - found.exchange.started
            if not rules.is_taken(found.exchange) and waited >= self._policy.fetch_wait:
                raise BackendOffline("no agent took the request in time")
            if waited >= self._policy.response_wait:
                raise NoAnswer("the backend did not answer in time")

    def _pause(self, began: float, rule: Spacing) -> Process[None]:
        """Until it is worth looking again; with a hint, that look included."""
        milliseconds = int(1000 * (self._engine.seconds - began))
        if self._design.has_hints:
            yield self._spacing(hint_interval, milliseconds) + self._datastore.hint()
        else:
            yield self._spacing(rule, milliseconds)

    def _spacing(self, rule: Spacing, milliseconds: int) -> float:
        """What a rule says of a wait that has lasted so long, in seconds; remembered, as it is asked for so often."""
        key = rule.__name__, milliseconds
        if key not in self._spacings:
            self._spacings[key] = rule(timedelta(milliseconds=milliseconds), self._policy).total_seconds()
        return self._spacings[key]

    # An agent

    def _agent(self, number: int, agent_id: str) -> Process[None]:
        """Polls, one at a time, and begins what is named; what it has already, another instance may name again."""
        has: set[Cell] = set()
        while True:
            room = AGENT_CONCURRENCY - len(has)
            if room <= 0:
                yield BACKEND_TIME
                continue
            yield ROUND_TRIP / 2
            named = yield from self._poll(number, room)
            yield ROUND_TRIP / 2
            cells = [cell for cell in named if cell not in has]
            has.update(cells)
            together, alone = cells[:FETCHED_TOGETHER], cells[FETCHED_TOGETHER:]
            for some in (together, *([cell] for cell in alone)):
                self._engine.spawn(self._take(some, agent_id, has))

    def _poll(self, number: int, room: int) -> Process[list[Cell]]:
        backend_id = self._registrations.backends[number].backend_id
        instance = self._random.randrange(self.agent_instances)
        self._measures.agent_calls.add(1)
        cells: list[Cell] = []
        try:
            yield from self._registrations.touch(number, "polled", instance=instance)
            cells = yield from self._wait_for_pending(backend_id, room, instance)
        except Contended:
            pass  # an error for the agent, which polls again
        self._measures.agent_calls.add(-1)
        return cells

    def _wait_for_pending(self, backend_id: BackendId, room: int, instance: int) -> Process[list[Cell]]:
        began = self._engine.seconds
        while True:
            changes, looked = self._changes.get(backend_id, 0), self._engine.seconds
            cells = yield from self._name(backend_id, room, instance)
            if cells:
                self._heard[backend_id] = self._engine.seconds
            if cells or self._engine.seconds - began >= self._policy.list_wait.total_seconds():
                return cells
            yield from self._pause(self._heard.get(backend_id, 0.0), idle_interval)
            while self._design.has_hints and self._changes.get(backend_id, 0) == changes:
                if self._engine.seconds - looked >= self._idle_patience(backend_id):
                    break
                yield from self._pause(self._heard.get(backend_id, 0.0), idle_interval)

    def _idle_patience(self, backend_id: BackendId) -> float:
        """With hints: what was named just now may not have been fetched, of which no hint tells."""
        lasted = self._engine.seconds - self._heard.get(backend_id, 0.0)
        lease = self._policy.name_lease.total_seconds()
        return lease if lasted < lease else self._policy.hinted_idle.total_seconds()

    def _name(self, backend_id: BackendId, room: int, instance: int) -> Process[list[Cell]]:
        """None without a look, where this instance has lately taken all and nothing has come since that it knows of."""
        changes, seconds = self._changes.get(backend_id, 0), self._engine.seconds
        if self._design.has_hints:
            yield self._datastore.hint()
        looked_at, looked = self._looks.get((instance, backend_id), (-1, 0.0))
        is_same = looked_at == changes or not self._design.has_hints
        if is_same and looked_at >= 0 and seconds - looked < self._look_counts_for:
            return []
        most = min(self._policy.list_limit, room)
        cells = yield from self._exchanges.name(backend_id, instance=instance, most=most)
        if len(cells) < most:
            self._looks[instance, backend_id] = changes, seconds
        return cells

    def _take(self, cells: Sequence[Cell], agent_id: str, has: set[Cell]) -> Process[None]:
        """Fetch in one call what was named, and begin what others have not fetched before."""
        taken: list[Cell] = []
        with suppress(Contended):
            taken = yield from self._call(self._fetch(cells, agent_id))
        has.difference_update(set(cells).difference(taken))
        for cell in taken:
            self._engine.spawn(self._work(cell, agent_id, has))

    def _work(self, cell: Cell, agent_id: str, has: set[Cell]) -> Process[None]:
        """From a fetched request to its answer."""
        try:
            yield BACKEND_TIME * self._random.expovariate(1)
            yield from self._call(self._post(cell, agent_id))
        except (ClaimedElsewhere, Contended, UnknownRequest):
            pass  # its user learns it by the time that passes
        has.discard(cell)

    def _call(self, process: Process[T]) -> Process[T]:
        """A call of an agent, on its way there, at the service, and back."""
        yield ROUND_TRIP / 2
        self._measures.agent_calls.add(1)
        try:
            result = yield from process
        finally:
            self._measures.agent_calls.add(-1)
        yield ROUND_TRIP / 2
        return result

    def _fetch(self, cells: Sequence[Cell], agent_id: str) -> Process[list[Cell]]:
        """Those that nobody else has: read, unless this instance remembers them, and written."""
        instance = self._random.randrange(self.agent_instances)
        known = [Found(cell, cell.exchange, cell.version) for cell in cells if cell.instance == instance]
        found = known + (yield from self._exchanges.load([cell for cell in cells if cell.instance != instance]))
        now, policy = self._engine.now(), self._policy
        free = [each for each in found if not each.cell.is_deleted and not rules.is_taken(each.exchange)]
        changed = [rules.fetch(each.exchange, agent_id=agent_id, now=now, policy=policy) for each in free]
        won = yield from self._exchanges.store_each(free, changed, instance=instance)
        self._measures.lost_claims += len(cells) - len(won)
        return won

    def _post(self, cell: Cell, agent_id: str) -> Process[None]:
        """Write the answer: to the exchange as this instance remembers it, or else as it is read; again where somebody
        else has written meanwhile."""
        instance = self._random.randrange(self.agent_instances)
        is_known = cell.instance == instance
        while True:
            if not is_known:
                yield from self._exchanges.load([cell])
            if cell.is_deleted:
                raise UnknownRequest(cell.exchange.request_id)
            found, now = Found(cell, cell.exchange, cell.version), self._engine.now()
            answered = rules.answer(found.exchange, agent_id=agent_id, last=True, now=now, policy=self._policy)
            if (yield from self._exchanges.store_each([found], [answered], instance=instance)):
                return
            is_known = False
