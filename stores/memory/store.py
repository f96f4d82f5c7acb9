"""The store in this process's memory, and the waiter of threads that it wakes."""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Container, Mapping
from datetime import datetime

from broker import exchange as rules
from broker.assignment import Roster
from broker.batches import Room
from broker.errors import DuplicateRequest, Overloaded, UnknownRequest
from broker.model import Answer, Backend, BackendStatus, Exchange, HandedOut, LostPolls, Part, Poll
from broker.policy import Policy
from broker.quotas import require_room
from broker.registrations import Forgotten, Registrations
from broker.waiting import ExchangeKey, Key, PendingKey, Wait
from stores.memory.known_backends import KnownBackends
from stores.memory.queues import LostPollNames, Queue, Record
from stores.memory.window import Memory, Window
from wire.protocol import BackendId, RequestId

Listener = Callable[[Key], None]


class MemoryStore:
    """A `Store` under one lock. `window` bounds the bytes of each stream, `memory` those of all together, `capacity`
    the exchanges; `registrations` keeps the backends for the next process. Raises what `Registrations.load` does."""

    def __init__(
        self,
        policy: Policy,
        *,
        window: int = 1 << 20,
        memory: int = 1 << 28,
        capacity: int = 10_000,
        registrations: Registrations | None = None,
    ) -> None:
        self._policy = policy
        self._window = window
        self._memory = Memory(memory)
        self._capacity = capacity
        self._registrations = registrations or Forgotten()
        self._backends = KnownBackends(self._registrations)
        self._lock = threading.Lock()  # guards `_memory`, all below but the listeners, and what it holds
        self._queues: dict[BackendId, Queue] = {
            each.backend.backend_id: Queue(Roster(policy), BackendStatus(last_used=each.last_used))
            for each in self._backends.loaded
        }
        self._records: dict[RequestId, Record] = {}
        self._of_user: Counter[str] = Counter()
        self._lost_polls = LostPollNames()
        self._listeners: tuple[Listener, ...] = ()

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` after every change, outside the lock, in the thread that made it."""
        self._listeners = (*self._listeners, listener)

    @property
    def held_bytes(self) -> int:
        """How much of messages lies in memory."""
        return self._memory.held

    def _notify(self, *keys: Key) -> None:
        for listener in self._listeners:
            for key in keys:
                listener(key)

    # Backends

    def put_backend(self, backend: Backend) -> None:
        self._backends.put(backend)
        with self._lock:
            self._queues.setdefault(backend.backend_id, self._new_queue())

    def get_backend(self, backend_id: BackendId) -> Backend:
        return self._backends.get(backend_id)

    def list_backends(self) -> list[Backend]:
        return self._backends.list_all()

    def find_backends(self, end_user: str) -> list[Backend]:
        return self._backends.find(end_user)

    @property
    def named_hosts(self) -> Container[str]:
        """The hosts that backends name, for whomever they are."""
        return self._backends.hosts

    def delete_backend(self, backend_id: BackendId) -> None:
        self._backends.delete(backend_id)
        with self._lock:
            gone = list(self._queues[backend_id].records) if backend_id in self._queues else []
            for request_id in gone:
                self._remove(request_id)
            self._queues.pop(backend_id, None)
        self._notify(*(ExchangeKey(request_id) for request_id in gone))

    def touch_backend(
        self, backend_id: BackendId, *, polled: datetime | None = None, used: datetime | None = None
    ) -> None:
        with self._lock:
            if backend_id not in self._backends:
                return
            queue = self._queues.setdefault(backend_id, self._new_queue())
            queue.status = BackendStatus(
                last_polled=_later(queue.status.last_polled, polled),
                last_used=_later(queue.status.last_used, used),
            )
        if used is not None:
            self._registrations.note_used(backend_id, used)

    def get_statuses(self, backend_ids: Collection[BackendId]) -> Mapping[BackendId, BackendStatus]:
        with self._lock:
            return {name: self._queues[name].status for name in backend_ids if name in self._queues}

    def has_exchange(self, backend_id: BackendId, request_id: RequestId) -> bool:
        """True while somebody may still wait for it. Beyond the contract: asking costs nothing here."""
        with self._lock:
            record = self._records.get(request_id)
            return record is not None and record.exchange.backend_id == backend_id

    def holder_of(self, backend_id: BackendId, request_id: RequestId) -> str:
        """The agent that works on it: that has fetched it, and not answered to the end; empty for none, or for one
        without a name. Beyond the contract, as `has_exchange` is."""
        with self._lock:
            record = self._records.get(request_id)
            if record is None or record.exchange.backend_id != backend_id or not rules.is_taken(record.exchange):
                return ""
            agent_id = record.exchange.agent_id
            return agent_id if rules.is_held_by(record.exchange, agent_id) else ""

    def agent_of(self, request_id: RequestId) -> str:
        """The agent that an exchange was given to last, also when it has answered; empty for none, or for one without a
        name. Beyond the contract."""
        with self._lock:
            record = self._records.get(request_id)
            return record.exchange.agent_id if record else ""

    def forget_polls(self, backend_id: BackendId) -> None:
        """No agent is left: the backend is offline from now on, and not only when its last poll is long past.

        Beyond the contract: for a proxy that sees its agents' connections break.
        """
        with self._lock:
            if backend_id in self._queues:
                queue = self._queues[backend_id]
                queue.status = queue.status._replace(last_polled=None)

    # The proxy's side of an exchange

    def add_exchange(self, exchange: Exchange, request: bytes, *, last: bool) -> None:
        with self._lock:
            if exchange.request_id in self._records:
                raise DuplicateRequest(exchange.request_id)
            if len(self._records) >= self._capacity:
                raise Overloaded(f"{self._capacity} requests are waiting already")
            queue = self._queues.get(exchange.backend_id) or self._new_queue()
            require_room(
                queue.load(exchange.started, of_user=self._of_user[exchange.end_user]),
                self._backends.options_of(exchange.backend_id),
                self._policy,
                user=exchange.end_user,
                waiting_users=(each.exchange.end_user for each in queue.waiting.values()),
            )
            record = Record(exchange, *(Window(self._window, self._memory) for _ in range(2)))
            if record.request.append(0, request, last=last) < len(request):
                record.close()
                raise Overloaded(f"there is no room for the first {len(request)} bytes of a request")
            self._queues.setdefault(exchange.backend_id, queue).add(record)
            self._records[exchange.request_id] = record
            self._of_user[exchange.end_user] += 1
        self._notify(PendingKey(exchange.backend_id))

    def append_request(
        self, backend_id: BackendId, request_id: RequestId, offset: int, data: bytes, *, last: bool, now: datetime
    ) -> int:
        with self._lock:
            record = self._record(backend_id, request_id)
            end = record.request.append(offset, data, last=last)
            self._keep(record, now)
        self._notify(ExchangeKey(request_id))
        return end

    def read_answer(self, backend_id: BackendId, request_id: RequestId, offset: int) -> Answer:
        with self._lock:
            record = self._record(backend_id, request_id)
            makes_room = offset > record.answer.read_up_to
            answer = Answer(record.exchange, record.answer.read(offset))
        if makes_room:
            self._notify(ExchangeKey(request_id))
        return answer

    def delete_exchange(self, backend_id: BackendId, request_id: RequestId) -> None:
        with self._lock:
            record = self._records.get(request_id)
            if record is None or record.exchange.backend_id != backend_id:
                return
            self._remove(request_id)
        self._notify(ExchangeKey(request_id))

    # The agent's side of an exchange

    def claim_pending(
        self, backend_id: BackendId, *, agent_id: str, now: datetime, takes_upgrades: bool = False
    ) -> list[RequestId]:
        claimed: list[RequestId] = []
        with self._lock:
            queue = self._queues.get(backend_id) or self._new_queue()
            sharing = self._backends.options_of(backend_id).agents
            for record in queue.claimable(
                agent_id, sharing, now=now, policy=self._policy, takes_upgrades=takes_upgrades
            ):
                if len(claimed) == self._policy.list_limit:
                    break
                record.exchange = rules.offer(record.exchange, agent_id=agent_id, now=now, policy=self._policy)
                claimed.append(record.exchange.request_id)
        if len(claimed) == self._policy.list_limit:
            self._notify(PendingKey(backend_id))
        return claimed

    def hand_out(self, backend_id: BackendId, poll: Poll, *, now: datetime) -> list[HandedOut]:
        with self._lock:
            queue = self._queues.get(backend_id)
            if queue is None or self._lost_polls.has(backend_id, poll):
                return []
            room, sharing = Room(poll, self._policy), self._backends.options_of(backend_id).agents
            handed = queue.hand_out(poll, room, sharing, now=now, policy=self._policy)
        if room.is_full:
            # Others may be waiting that were not told of it.
            self._notify(PendingKey(backend_id))
        return handed

    def take_back(self, backend_id: BackendId, lost: LostPolls, *, agent_id: str, now: datetime) -> None:
        with self._lock:
            self._lost_polls.add(backend_id, agent_id, lost.poll_ids, until=now + self._policy.exchange_ttl)
            queue = self._queues.get(backend_id) or self._new_queue()
            held = [record for record in queue.records.values() if rules.is_lost(record.exchange, agent_id, lost)]
            queue.requeue(held, Record.take_back)
        if held:
            self._notify(PendingKey(backend_id))

    def fetch_exchange(self, backend_id: BackendId, request_id: RequestId, *, agent_id: str, now: datetime) -> Exchange:
        with self._lock:
            record = self._record(backend_id, request_id)
            record.exchange = rules.fetch(record.exchange, agent_id=agent_id, now=now, policy=self._policy)
            queue = self._queues[backend_id]
            queue.waiting.pop(request_id, None)
            queue.roster.takes(agent_id)
            exchange = record.exchange
        self._notify(ExchangeKey(request_id))
        return exchange

    def read_request(self, backend_id: BackendId, request_id: RequestId, offset: int) -> Part | None:
        with self._lock:
            stream = self._record(backend_id, request_id).request
            makes_room = offset > stream.read_up_to
            part = stream.read(offset)
        if makes_room:
            self._notify(ExchangeKey(request_id))
        return part

    def append_answer(
        self,
        backend_id: BackendId,
        request_id: RequestId,
        offset: int,
        data: bytes,
        *,
        agent_id: str,
        last: bool,
        now: datetime,
    ) -> int:
        with self._lock:
            record = self._record(backend_id, request_id)
            rules.require_answerable(record.exchange, agent_id)
            end = record.answer.append(offset, data, last=last)
            is_ended = last and end >= offset + len(data)
            record.exchange = rules.answer(
                record.exchange, agent_id=agent_id, last=is_ended, now=now, policy=self._policy
            )
        self._notify(ExchangeKey(request_id))
        return end

    def fail_exchange(self, backend_id: BackendId, request_id: RequestId, *, agent_id: str, reason: str) -> None:
        with self._lock:
            record = self._record(backend_id, request_id)
            record.exchange = rules.fail(record.exchange, agent_id=agent_id, reason=reason)
        self._notify(ExchangeKey(request_id))

    def release_offers(self, backend_id: BackendId, *, agent_id: str) -> None:
        with self._lock:
            queue = self._queues.get(backend_id) or self._new_queue()
            for record in queue.waiting.values():
                if rules.is_offered_to(record.exchange, agent_id):
                    record.release()
            queue.roster.leaves(agent_id)
            waiting = len(queue.waiting)
        # Once for each: what was this agent's may now be for several.
        self._notify(*[PendingKey(backend_id)] * max(waiting, 1))

    def release_agent(self, backend_id: BackendId, *, agent_id: str) -> None:
        with self._lock:
            queue = self._queues.get(backend_id) or self._new_queue()
            held = [record for record in queue.records.values() if rules.is_held_by(record.exchange, agent_id)]
            queue.requeue(held, Record.release)
            was_there = queue.roster.leaves(agent_id)
            waiting = len(queue.waiting)
        if held or was_there:
            told = [PendingKey(backend_id)] * max(waiting, 1)
            self._notify(*told, *(ExchangeKey(record.exchange.request_id) for record in held))

    def release_exchange(self, backend_id: BackendId, request_id: RequestId, *, agent_id: str) -> None:
        """Take one exchange from the agent that holds it, as `release_agent` does all. Beyond the contract: where all
        agents without a name cannot be meant."""
        with self._lock:
            record = self._records.get(request_id)
            if record is None or record.exchange.backend_id != backend_id:
                return
            if not rules.is_held_by(record.exchange, agent_id):
                return
            self._queues[backend_id].requeue([record], Record.release)
        self._notify(PendingKey(backend_id), ExchangeKey(request_id))

    def withdraw_offers(self, backend_id: BackendId, request_ids: Collection[RequestId], *, agent_id: str) -> None:
        """The list that offered these requests was never sent: whichever is still on offer to the agent is listed
        again at once. Beyond the contract: without it, it is listed again when the lease is over.
        """
        with self._lock:
            for request_id in request_ids:
                record = self._records.get(request_id)
                if record and rules.is_offered_to(record.exchange, agent_id):
                    record.release()
        self._notify(PendingKey(backend_id))

    # The sweep

    def sweep(self, *, now: datetime, is_over: Callable[[], bool] = lambda: False) -> int:
        with self._lock:
            gone = [name for name, record in self._records.items() if rules.is_expired(record.exchange, now)]
            for request_id in gone:
                self._remove(request_id)
            self._lost_polls.sweep(now)
        self._notify(*(ExchangeKey(request_id) for request_id in gone))
        return len(gone)

    # Called with the lock held

    def _new_queue(self) -> Queue:
        return Queue(Roster(self._policy))

    def _record(self, backend_id: BackendId, request_id: RequestId) -> Record:
        record = self._records.get(request_id)
        if record is None or record.exchange.backend_id != backend_id:
            raise UnknownRequest(request_id)
        return record

    def _keep(self, record: Record, now: datetime) -> None:
        expires = max(record.exchange.expires, now + self._policy.exchange_ttl)
        record.exchange = record.exchange._replace(expires=expires)

    def _remove(self, request_id: RequestId) -> None:
        record = self._records.pop(request_id)
        record.close()
        exchange = record.exchange
        self._of_user[exchange.end_user] -= 1
        if not self._of_user[exchange.end_user]:
            del self._of_user[exchange.end_user]
        queue = self._queues[exchange.backend_id]
        queue.remove(request_id)
        if not queue.records and exchange.backend_id not in self._backends:
            del self._queues[exchange.backend_id]


class MemoryWaiter:
    """The waiter of threads over a `MemoryStore`: one condition, which every change wakes."""

    def __init__(self, store: MemoryStore) -> None:
        self._condition = threading.Condition()
        self._changes = 0  # guarded by the condition
        store.subscribe(self._on_change)

    def ticket(self) -> int:
        """The number of changes so far."""
        with self._condition:
            return self._changes

    def wait(self, wait: Wait, *, ticket: int) -> None:
        """Return when anything has changed since the ticket, or after the timeout."""
        with self._condition:
            self._condition.wait_for(lambda: self._changes != ticket, wait.timeout.total_seconds())

    def _on_change(self, key: Key) -> None:
        with self._condition:
            self._changes += 1
            self._condition.notify_all()


def _later(old: datetime | None, new: datetime | None) -> datetime | None:
    return old if new is None or (old is not None and old >= new) else new
