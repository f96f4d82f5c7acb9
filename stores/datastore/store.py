"""The store in Google Cloud Datastore (Firestore in Datastore mode), shared by all processes of the services.

Of ndb it uses only the client (project, namespace, credentials, emulator), because a transaction of ndb costs three
calls, and a small request six in all; see `stores.datastore.conditional`.
"""

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from google.cloud import datastore
from google.cloud.ndb import Client

from broker import exchange as rules
from broker.batches import Room
from broker.errors import DuplicateRequest, UnknownRequest
from broker.model import Answer, Backend, BackendStatus, Exchange, HandedOut, LostPolls, Part, Poll
from broker.policy import Policy
from stores.datastore import exchange_records as records
from stores.datastore.calls import TIMEOUT
from stores.datastore.carried import CarriedAnswers
from stores.datastore.conditional import FROM, UP_TO, Conflict, Datastore, Versioned, put
from stores.datastore.exchange_changes import Changes, Parts
from stores.datastore.exchange_marks import ExchangeMarks
from stores.datastore.exchange_parts import PartCalls
from stores.datastore.exchange_records import EXCHANGE, Layout, Record, queue_place
from stores.datastore.exchange_removal import Removal
from stores.datastore.exchange_streams import MAX_PART_BYTES, Side, Stream, new_writer, start_of
from stores.datastore.named import NamedRequests
from stores.datastore.recent_records import RecentRecords
from stores.datastore.registrations import Registrations
from wire.protocol import MAX_ENTRY_BYTES, BackendId, RequestId

MAX_APPENDED_BYTES: Final = 4_000_000
"""Which are stored beside one another before the state that names them."""

_MAX_BATCH_BYTES: Final = 4_000_000
"""Of the requests that one poll gets, in one look-up; on App Engine it gets their names alone."""

CLOCK_SKEW: Final = timedelta(seconds=1)
"""How far the clocks of two machines may be apart."""

_LEAST_PAGE: Final = 10


class DatastoreStore:
    """A `Store`. What it remembers between calls is a guess that every write verifies, or at most `policy.backends_age`
    old."""

    def __init__(self, client: Client, policy: Policy, *, timeout: float = TIMEOUT) -> None:
        """With at most `timeout` seconds for a call that concerns exchanges."""
        self._policy = policy
        self._datastore = Datastore(client, timeout=timeout)
        self._registrations = Registrations(self._datastore, policy)
        self._layout = Layout(self._datastore)
        self._recent = RecentRecords()
        self._named = NamedRequests(policy)
        self._calls = PartCalls(self._datastore)
        self._changes = Changes(self._datastore, self._layout, self._recent, self._calls)
        self._removal = Removal(self._datastore, self._layout, self._recent)
        self.carried = CarriedAnswers(self._layout, self._recent)
        self.marks = ExchangeMarks(self._datastore, self._layout, self._recent)

    # Backends

    def put_backend(self, backend: Backend) -> None:
        self._registrations.put(backend)

    def get_backend(self, backend_id: BackendId) -> Backend:
        return self._registrations.get(backend_id)

    def list_backends(self) -> list[Backend]:
        return self._registrations.list_all()

    def find_backends(self, end_user: str) -> list[Backend]:
        return self._registrations.find(end_user)

    def delete_backend(self, backend_id: BackendId) -> None:
        self._registrations.delete(backend_id)
        self._removal.of_backend(backend_id)

    def touch_backend(
        self, backend_id: BackendId, *, polled: datetime | None = None, used: datetime | None = None
    ) -> None:
        self._registrations.touch(backend_id, polled=polled, used=used)

    def get_statuses(self, backend_ids: Collection[BackendId]) -> Mapping[BackendId, BackendStatus]:
        return self._registrations.statuses(backend_ids)

    # The proxy's side of an exchange

    def add_exchange(self, exchange: Exchange, request: bytes, *, last: bool) -> None:
        # An exchange is there before any part that its state does not name: the sweep takes parts without one.
        first, rest = request[:MAX_PART_BYTES], request[MAX_PART_BYTES:]
        stream, parts = Stream().adding(first, last=last and not rest, writer=new_writer())
        try:
            self._changes.add(Record(exchange, request=stream), parts)
        except Conflict as exc:
            raise DuplicateRequest(exchange.request_id) from exc
        if rest:
            self.append_request(
                exchange.backend_id, exchange.request_id, len(first), rest, last=last, now=exchange.started
            )

    def append_request(
        self, backend_id: BackendId, request_id: RequestId, offset: int, data: bytes, *, last: bool, now: datetime
    ) -> int:
        def keep(exchange: Exchange, _: bool) -> Exchange:
            return exchange._replace(expires=max(exchange.expires, now + self._policy.exchange_ttl))

        return self._append(backend_id, request_id, "request", offset, data, last=last, rule=keep)

    def read_answer(self, backend_id: BackendId, request_id: RequestId, offset: int) -> Answer:
        record, part = self._read(backend_id, request_id, "answer", offset)
        return Answer(record.exchange, part)

    def delete_exchange(self, backend_id: BackendId, request_id: RequestId) -> None:
        self._changes.delete(backend_id, request_id)

    def delete_exchanges(self, exchanges: Sequence[Exchange]) -> None:
        """The same for many, in one call where they are small and nothing happens to them meanwhile."""
        self._changes.delete_each(exchanges)

    # The agent's side of an exchange

    def claim_pending(
        self, backend_id: BackendId, *, agent_id: str, now: datetime, takes_upgrades: bool = False
    ) -> list[RequestId]:
        limit = self._policy.list_limit
        claimed: list[RequestId] = []
        for page in self._claimable_pages(backend_id, now=now, page=limit, takes_upgrades=takes_upgrades):
            offers = [
                replace(record, exchange=rules.offer(record.exchange, agent_id=agent_id, now=now, policy=self._policy))
                for record in page[: limit - len(claimed)]
            ]
            claimed += [record.exchange.request_id for record in self._changes.store_each(offers)]
            if len(claimed) == limit:
                break
        return claimed

    def hand_out(self, backend_id: BackendId, poll: Poll, *, now: datetime) -> list[HandedOut]:
        if poll.offers_only:
            return self._name(backend_id, poll, now=now)
        room = Room(poll, self._policy, most_bytes=_MAX_BATCH_BYTES)
        won: list[Record] = []
        for page in self._pages_for(backend_id, poll, now=now):
            chosen = list(itertools.takewhile(lambda record: room.admit(_size_in_batch(record)), page))
            won += self._changes.store_each([self._handed_out(record, poll, now=now) for record in chosen])
            if len(chosen) < len(page) or not room.entries:
                break
        return self._with_requests(backend_id, poll, won, now=now) if won else []

    def _name(self, backend_id: BackendId, poll: Poll, *, now: datetime) -> list[HandedOut]:
        """Nothing is written: this process names each request to one agent at a time, and who fetches first has it."""
        room = Room(poll, self._policy)
        named: list[HandedOut] = []
        for page in self._pages_for(backend_id, poll, now=now):
            for record in self._named.take(page, poll, most=room.entries, now=now):
                room.admit(0)
                self._recent.put(record)  # its fetch comes next
                named.append(HandedOut(record.exchange, None))
            if not room.entries:
                break
        return named

    def take_back(self, backend_id: BackendId, lost: LostPolls, *, agent_id: str, now: datetime) -> None:
        self._named.forget_polls(lost, agent_id=agent_id)
        # Written before it is asked what they handed out: whoever hands out in one of them from now on reads it.
        until = now + self._policy.exchange_ttl
        keys = [self._layout.lost_poll_key(backend_id, agent_id, poll_id) for poll_id in lost.poll_ids]
        self._datastore.commit_each([put(self._layout.lost_poll(key, until=until)) for key in keys])

        def move(record: Record) -> tuple[Record, Side, Parts]:
            if not rules.is_lost(record.exchange, agent_id, lost):
                return record, "answer", {}
            return replace(record, exchange=rules.take_back(record.exchange)), "answer", {}

        self._changes.change_each_held(backend_id, agent_id, move)

    def fetch_exchange(self, backend_id: BackendId, request_id: RequestId, *, agent_id: str, now: datetime) -> Exchange:
        def move(record: Record) -> tuple[Record, Side, Parts]:
            exchange = rules.fetch(record.exchange, agent_id=agent_id, now=now, policy=self._policy)
            return replace(record, exchange=exchange), "answer", {}

        record = self._changes.change(backend_id, request_id, move)
        self._recent.put(record, fresh="request")
        return record.exchange

    def read_request(self, backend_id: BackendId, request_id: RequestId, offset: int) -> Part | None:
        return self._read(backend_id, request_id, "request", offset)[1]

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
        def answer(exchange: Exchange, ended: bool) -> Exchange:
            return rules.answer(exchange, agent_id=agent_id, last=ended, now=now, policy=self._policy)

        return self._append(backend_id, request_id, "answer", offset, data, last=last, rule=answer)

    def fail_exchange(self, backend_id: BackendId, request_id: RequestId, *, agent_id: str, reason: str) -> None:
        def move(record: Record) -> tuple[Record, Side, Parts]:
            return replace(record, exchange=rules.fail(record.exchange, agent_id=agent_id, reason=reason)), "answer", {}

        self._changes.change(backend_id, request_id, move)

    def release_offers(self, backend_id: BackendId, *, agent_id: str) -> None:
        self._named.forget_agent(agent_id)
        for page in self._changes.held_by(backend_id, agent_id):
            offered = [record for record in page if rules.is_offered_to(record.exchange, agent_id)]
            # One that is fetched at this moment stays with the agent.
            self._changes.store_each(
                [replace(record, exchange=rules.release(record.exchange, can_be_read_again=True)) for record in offered]
            )

    def release_agent(self, backend_id: BackendId, *, agent_id: str) -> None:
        def move(record: Record) -> tuple[Record, Side, Parts]:
            if not rules.is_held_by(record.exchange, agent_id):
                return record, "answer", {}
            return replace(record, exchange=rules.release(record.exchange, can_be_read_again=True)), "answer", {}

        self._changes.change_each_held(backend_id, agent_id, move)

    # The sweep

    def sweep(self, *, now: datetime, is_over: Callable[[], bool] = lambda: False) -> int:
        return self._removal.of_expired(now=now, is_over=is_over)

    # How requests are handed out

    def _claimable_pages(
        self, backend_id: BackendId, *, now: datetime, page: int, takes_upgrades: bool
    ) -> Iterator[list[Record]]:
        """What a poll may take, oldest first."""
        pages = self._datastore.query(
            EXCHANGE,
            # What began before that is abandoned, and may be very much.
            (records.QUEUE, FROM, queue_place(backend_id, now - self._policy.fetch_wait)),
            # A little ahead, so that a request from a machine whose clock is ahead is seen at once.
            (records.QUEUE, UP_TO, queue_place(backend_id, now + CLOCK_SKEW)),
            order=records.QUEUE,
            page=page,
        )
        for found in pages:
            claimable = [
                record
                for record in self._layout.records(found)
                if rules.is_claimable(record.exchange, now, policy=self._policy, takes_upgrades=takes_upgrades)
            ]
            yield self._named.without(claimable, now=now)

    def _pages_for(self, backend_id: BackendId, poll: Poll, *, now: datetime) -> Iterator[list[Record]]:
        size = max(min(poll.capacity, self._policy.list_limit), _LEAST_PAGE)
        return self._claimable_pages(backend_id, now=now, page=size, takes_upgrades=poll.takes_upgrades)

    def _handed_out(self, record: Record, poll: Poll, *, now: datetime) -> Record:
        exchange = rules.hand_out(record.exchange, poll, now=now, policy=self._policy, is_whole=_is_batchable(record))
        return replace(record, exchange=exchange)

    def _with_requests(
        self, backend_id: BackendId, poll: Poll, handed: list[Record], *, now: datetime
    ) -> list[HandedOut]:
        """What was handed out, with its bytes; nothing if the poll has been lost meanwhile."""
        given = {record.exchange.request_id: record.request for record in handed if _is_batchable(record)}
        parts = {name: self._part_keys(name, "request", request.names) for name, request in given.items()}
        lost_key = self._layout.lost_poll_key(backend_id, poll.agent_id, poll.poll_id)
        size = sum(request.size_of(request.names) for request in given.values())
        found = self._calls.read([lost_key, *itertools.chain.from_iterable(parts.values())], size=size)
        if lost_key in found:
            self.take_back(backend_id, poll.as_lost, agent_id=poll.agent_id, now=now)
            return []
        requests = {
            name: b"".join((given[name].inline, *(found[key].entity["data"] for key in keys)))
            for name, keys in parts.items()
            # Of an exchange that was deleted meanwhile nothing is there any more.
            if all(key in found for key in keys)
        }
        return [
            HandedOut(record.exchange, requests.get(record.exchange.request_id))
            for record in handed
            if record.exchange.request_id in requests or record.exchange.request_id not in given
        ]

    # How bytes are read and appended

    def _append(
        self,
        backend_id: BackendId,
        request_id: RequestId,
        side: Side,
        offset: int,
        data: bytes,
        *,
        last: bool,
        rule: Callable[[Exchange, bool], Exchange],
    ) -> int:
        """Append many bytes at a time; `rule` is applied to the exchange with each lot, and told of the end."""
        for start in range(0, max(len(data), 1), MAX_APPENDED_BYTES):
            lot = data[start : start + MAX_APPENDED_BYTES]
            is_last = last and start + len(lot) == len(data)
            record = self._append_lot(backend_id, request_id, side, offset + start, lot, last=is_last, rule=rule)
        return record.stream(side).end

    def _append_lot(
        self,
        backend_id: BackendId,
        request_id: RequestId,
        side: Side,
        offset: int,
        data: bytes,
        *,
        last: bool,
        rule: Callable[[Exchange, bool], Exchange],
    ) -> Record:
        writer = new_writer()

        def move(record: Record) -> tuple[Record, Side, Parts]:
            exchange = rule(record.exchange, last)
            stream, parts = self._extended(record, side, offset, data, last=last, writer=writer)
            return replace(record, exchange=exchange).with_stream(side, stream), side, parts

        return self._changes.change(backend_id, request_id, move)

    def _extended(
        self, record: Record, side: Side, offset: int, data: bytes, *, last: bool, writer: str
    ) -> tuple[Stream, Parts]:
        stream = record.stream(side)
        end = offset + len(data)
        rules.require_end(stored_end=stream.end, is_ended=stream.ended, end=end, last=last)
        if not data:
            offset = max(offset, stream.end)
        stored, starts_at = b"", stream.end
        if offset < stream.end and (names := stream.parts_between(offset, end)):
            keys = self._part_keys(record.exchange.request_id, side, names)
            found = self._calls.read(keys, size=stream.size_of(names))
            stored, starts_at = self._joined(record, side, names, found), start_of(names[0])
        if offset < len(stream.inline):
            stored, starts_at = stream.inline + stored, 0
        return stream.adding(rules.fresh_bytes(stored, offset, data, starts_at=starts_at), last=last, writer=writer)

    def _read(
        self, backend_id: BackendId, request_id: RequestId, side: Side, offset: int
    ) -> tuple[Record, Part | None]:
        """The state and the next bytes: in one look-up where the parts are remembered, or one begins at the offset; in
        none for who has just written the state, where the bytes are in it."""
        fresh = self._recent.take_fresh(backend_id, request_id, side) if not offset else None
        if fresh is not None and not fresh.stream(side).names:
            return fresh, _inline_part(fresh.stream(side), offset)
        remembered = self._recent.get(backend_id, request_id)
        known = remembered.stream(side) if remembered else Stream()
        key = self._layout.key(request_id)
        guessed = known.parts_from(offset)
        found = self._calls.read([key, *self._part_keys(request_id, side, guessed)], size=known.size_of(guessed))
        record = self._changes.known(found.get(key), backend_id, request_id)
        stream = record.stream(side)
        if offset >= stream.end:
            # Raises for an offset behind the end: a gap.
            rules.fresh_bytes(b"", offset, b"", starts_at=stream.end)
        if offset >= stream.end or offset < len(stream.inline):
            return record, _inline_part(stream, offset)
        names = stream.parts_from(offset)
        if self._layout.part_key(request_id, side, names[0]) not in found:
            found = self._calls.read(self._part_keys(request_id, side, names), size=stream.size_of(names))
        data = self._joined(record, side, names, found)[offset - start_of(names[0]) :]
        return record, Part(offset, data, last=stream.ended and offset + len(data) == stream.end)

    def _part_keys(self, request_id: RequestId, side: Side, names: Iterable[str]) -> list[datastore.Key]:
        return [self._layout.part_key(request_id, side, name) for name in names]

    def _joined(self, record: Record, side: Side, names: list[str], found: Mapping[datastore.Key, Versioned]) -> bytes:
        """The bytes of consecutive parts, up to the first that was not found. Raises `UnknownRequest` when that is the
        first of all: the exchange was deleted after its state was read."""
        keys = self._part_keys(record.exchange.request_id, side, names)
        there = itertools.takewhile(found.__contains__, keys)
        data = b"".join(found[key].entity["data"] for key in there)
        if not data:
            raise UnknownRequest(record.exchange.request_id)
        return data


def _inline_part(stream: Stream, offset: int) -> Part | None:
    """What is inline from an offset on; or the end of the stream, if that is there."""
    data = stream.inline[offset:]
    last = stream.ended and offset + len(data) == stream.end
    return Part(offset, data, last=last) if data or last else None


def _is_batchable(record: Record) -> bool:
    return record.request.ended and record.request.end <= MAX_ENTRY_BYTES


def _size_in_batch(record: Record) -> int:
    return record.request.end if _is_batchable(record) else 0
