"""Users, agents and the services between them, by the rules of `broker`."""

import math
from collections.abc import Callable
from datetime import timedelta
from random import Random

from benchmarks.simulation.datastore import Contended, Datastore
from benchmarks.simulation.engine import Engine, Process
from benchmarks.simulation.exchanges import Cell, Exchanges, Found
from benchmarks.simulation.inputs import (
    AGENT_CONCURRENCY,
    AGENT_RATE,
    AGENT_THREADS,
    BACKEND_TIME,
    INSTANCE_RATE,
    ROUND_TRIP,
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
        self._exchanges = Exchanges(engine, datastore, design, policy, measures.queued)
        self._registrations = Registrations(engine, datastore, policy, backends=size.backends)
        self.agents = max(1, math.ceil(size.rate / size.backends / AGENT_RATE))
        self.user_instances = math.ceil(size.rate / INSTANCE_RATE)
        self.agent_instances = max(math.ceil(size.backends * self.agents / AGENT_THREADS), self.user_instances)
        self._changes: dict[BackendId, int] = {}
        self._ids = 0
        self._spacings: dict[tuple[str, int], float] = {}
        self._heard: dict[BackendId, float] = {}

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
        try:
            cell = yield from self._serve(number)
            self._measures.latencies.append(self._engine.seconds - began)
            yield from self._exchanges.delete(cell)
        except (BackendOffline, Contended, NoAnswer) as exc:
            self._measures.failures[type(exc).__name__] += 1
        self._measures.users.add(-1)

    def _serve(self, number: int) -> Process[Cell]:
        instance = self._random.randrange(self.user_instances)
        backend = yield from self._registrations.route(number, instance=instance)
        yield from self._registrations.touch(number, "used", instance=instance)
        cell = Cell(self._exchange(backend.backend_id, backend.end_user))
        yield from self._exchanges.insert(cell)
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
        patience = self._policy.poll_slowest.total_seconds()  # after which the hint is not believed
        while True:
            yield from self._pause(began, polling_interval)
            is_due = cell.exchange.state is State.ANSWERED or self._engine.seconds - looked >= patience
            if self._design.has_hint and not is_due:
                continue
            found = yield from self._exchanges.load(cell)
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
        if self._design.has_hint:
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
        """Polls, one at a time, and begins what comes."""
        busy = [0]
        while True:
            room = AGENT_CONCURRENCY - busy[0]
            if room <= 0:
                yield BACKEND_TIME
                continue
            yield ROUND_TRIP / 2
            cells = yield from self._poll(number, agent_id, room)
            yield ROUND_TRIP / 2
            for cell in cells:
                busy[0] += 1
                self._engine.spawn(self._work(cell, agent_id, busy))

    def _poll(self, number: int, agent_id: str, room: int) -> Process[list[Cell]]:
        backend_id = self._registrations.backends[number].backend_id
        instance = self._random.randrange(self.agent_instances)
        self._measures.agent_calls.add(1)
        cells: list[Cell] = []
        try:
            yield from self._registrations.touch(number, "polled", instance=instance)
            cells = yield from self._wait_for_pending(backend_id, agent_id, room, instance)
        except Contended:
            pass  # an error for the agent, which polls again
        self._measures.agent_calls.add(-1)
        return cells

    def _wait_for_pending(self, backend_id: BackendId, agent_id: str, room: int, instance: int) -> Process[list[Cell]]:
        began, patience = self._engine.seconds, self._policy.poll_idle.total_seconds()
        while True:
            changes, looked = self._changes.get(backend_id, 0), self._engine.seconds
            cells = yield from self._claim(backend_id, agent_id, room, instance)
            if cells:
                self._heard[backend_id] = self._engine.seconds
            if cells or self._engine.seconds - began >= self._policy.list_wait.total_seconds():
                return cells
            yield from self._pause(self._heard.get(backend_id, 0.0), idle_interval)
            while self._design.has_hint and self._changes.get(backend_id, 0) == changes:
                if self._engine.seconds - looked >= patience:
                    break
                yield from self._pause(self._heard.get(backend_id, 0.0), idle_interval)

    def _claim(self, backend_id: BackendId, agent_id: str, room: int, instance: int) -> Process[list[Cell]]:
        found = yield from self._exchanges.query(backend_id, limit=min(self._policy.list_limit, room))
        if not found:
            return []
        now, policy = self._engine.now(), self._policy
        claim = rules.fetch if self._design.hands_out else rules.offer
        changed = [claim(each.exchange, agent_id=agent_id, now=now, policy=policy) for each in found]
        won = yield from self._exchanges.store_each(found, changed, instance=instance)
        self._measures.lost_claims += len(found) - len(won)
        if self._design.hands_out and not self._design.is_inline:
            yield from self._datastore.lookup()
        return won

    def _work(self, cell: Cell, agent_id: str, busy: list[int]) -> Process[None]:
        """From a claimed request to its answer."""
        try:
            if not self._design.hands_out:
                yield from self._call(self._fetch(cell, agent_id))
            yield BACKEND_TIME * self._random.expovariate(1)
            yield from self._call(self._post(cell, agent_id))
        except (ClaimedElsewhere, Contended, UnknownRequest):
            pass  # its user learns it by the time that passes
        busy[0] -= 1

    def _call(self, process: Process[None]) -> Process[None]:
        """A call of an agent, on its way there, at the service, and back."""
        yield ROUND_TRIP / 2
        self._measures.agent_calls.add(1)
        try:
            yield from process
        finally:
            self._measures.agent_calls.add(-1)
        yield ROUND_TRIP / 2

    def _fetch(self, cell: Cell, agent_id: str) -> Process[None]:
        yield from self._change(cell, lambda exchange: self._fetched(exchange, agent_id))
        if not self._design.is_inline:
            yield from self._datastore.lookup()

    def _fetched(self, exchange: Exchange, agent_id: str) -> Exchange:
        return rules.fetch(exchange, agent_id=agent_id, now=self._engine.now(), policy=self._policy)

    def _post(self, cell: Cell, agent_id: str) -> Process[None]:
        now, policy = self._engine.now(), self._policy
        yield from self._change(
            cell, lambda exchange: rules.answer(exchange, agent_id=agent_id, last=True, now=now, policy=policy)
        )

    def _change(self, cell: Cell, rule: Callable[[Exchange], Exchange]) -> Process[None]:
        """Read, unless this instance remembers it, and write; again where somebody else has written meanwhile."""
        instance = self._random.randrange(self.agent_instances)
        is_known = cell.instance == instance
        while True:
            found = Found(cell, cell.exchange, cell.version) if is_known else (yield from self._exchanges.load(cell))
            if cell.is_deleted:
                raise UnknownRequest(cell.exchange.request_id)
            if (yield from self._exchanges.store_each([found], [rule(found.exchange)], instance=instance)):
                return
            is_known = False
