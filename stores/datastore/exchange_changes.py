"""How exchanges in Datastore are read and changed: by a rule, in one conditional write."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from google.cloud import datastore
from google.cloud.datastore_v1.types import datastore as api

from broker.errors import BrokerError, StoreUnavailable, UnknownRequest
from broker.model import Exchange
from stores.datastore import exchange_records as records
from stores.datastore.calls import UNCLEAR, pause, repeat
from stores.datastore.conditional import EQUAL, MAX_MUTATIONS, Conflict, Datastore, Versioned, delete, insert
from stores.datastore.conditional import replace as replaced
from stores.datastore.exchange_parts import PartCalls
from stores.datastore.exchange_records import EXCHANGE, Layout, Record, is_same
from stores.datastore.exchange_streams import Side
from stores.datastore.group_commit import GroupCommit
from stores.datastore.recent_records import RecentRecords
from wire.protocol import BackendId, RequestId

_ATTEMPTS: Final = 30

_ADDED_WITHIN: Final = 0.5
"""Seconds after which a new exchange is not tried again: its user waits."""

_LAST_CALLS: Final = 0.25
"""Seconds for each of the two calls that are made before its user is told that nothing is known of it: whether it is
there, and that it go."""

Parts = dict[str, bytes]
Move = Callable[[Record], tuple[Record, Side, Parts]]


class Changes:
    """What is remembered of exchanges between calls is a guess, which every write verifies."""

    def __init__(self, datastore_: Datastore, layout: Layout, recent: RecentRecords, calls: PartCalls) -> None:
        self._datastore = datastore_
        self._calls = calls
        # Apart, because a new exchange that is there already lets a whole call fail.
        self._additions = GroupCommit(datastore_)
        self._replacements = GroupCommit(datastore_)
        self._layout = layout
        self._recent = recent

    def _key(self, record: Record) -> datastore.Key:
        """The key of its entity."""
        return self._layout.key(record.exchange.request_id)

    def _load(self, backend_id: BackendId, request_id: RequestId) -> Record:
        """An exchange of this backend as it is stored. Raises `UnknownRequest`."""
        key = self._layout.key(request_id)
        return self.known(self._datastore.lookup([key]).get(key), backend_id, request_id)

    def known(self, found: Versioned | None, backend_id: BackendId, request_id: RequestId) -> Record:
        """What a look-up has found, from now on remembered. Raises `UnknownRequest`."""
        record = self._layout.record(found)
        if record is None or record.exchange.backend_id != backend_id:
            self._recent.drop(request_id)
            raise UnknownRequest(request_id)
        self._recent.put(record)
        return record

    def change(self, backend_id: BackendId, request_id: RequestId, move: Move) -> Record:
        """Apply a rule in one conditional commit: to what is remembered, which may be outdated, or else to what is
        stored. Only what the stored record says is an error."""
        written: set[datastore.Key] = set()
        remembered = self._recent.get(backend_id, request_id)
        if remembered is not None:
            try:
                changed, side, parts = move(remembered)
                if changed != remembered:
                    return self._store(changed, side, parts, written)
            except StoreUnavailable:
                raise
            except (BrokerError, Conflict):
                self._recent.drop(request_id)
        for attempt in range(_ATTEMPTS):
            record = self._load(backend_id, request_id)
            changed, side, parts = move(record)
            if changed == record:
                return record
            try:
                return self._store(changed, side, parts, written)
            except Conflict:
                pause(attempt)
        raise _contention(request_id)

    def _store(self, record: Record, side: Side, parts: Parts, written: set[datastore.Key]) -> Record:
        """Write a record that was changed, and new parts of one of its streams that are not yet `written`. Raises
        `Conflict`."""
        state = replaced(self._layout.entity(record), record.version)
        version = self._write(self._replacements, state, record, side, parts, written)
        stored = replace(record, version=version)
        self._recent.put(stored)
        return stored

    def add(self, record: Record, parts: Parts) -> None:
        """Write a record that is new, and parts of its request. Raises `Conflict` where its ID is another's.

        Nobody else writes under its ID before it is there, so that an error which leaves open whether it was written is
        no reason to fail: its user would send again what an agent works on. Where nothing can be learned of it, no
        agent is to find it either.
        """
        try:
            added = repeat(lambda: self._add(record, parts), after=UNCLEAR, within=_ADDED_WITHIN)
        except StoreUnavailable:
            if (found := self._find_or_withdraw(record)) is None:
                raise
            added = found
        # Who queues a request looks for its answer at once.
        self._recent.put(added, fresh="answer")

    def _add(self, record: Record, parts: Parts) -> Record:
        """The record as it is stored: an attempt before this one may have written it, and an agent have taken it."""
        try:
            new = insert(self._layout.entity(record))
            return replace(record, version=self._write(self._additions, new, record, "request", parts, set()))
        except Conflict:
            if (found := self._find(record)) is None:
                raise
            return found

    def _find(self, record: Record, *, timeout: float | None = None) -> Record | None:
        """A new record, if it is there."""
        key = self._key(record)
        found = self._layout.record(self._datastore.lookup([key], timeout=timeout).get(key))
        return found if found is not None and is_same(found, record) else None

    def _find_or_withdraw(self, record: Record) -> Record | None:
        with suppress(StoreUnavailable):
            if (found := self._find(record, timeout=_LAST_CALLS)) is not None:
                return found
        keys = [self._key(record), *self._layout.part_keys(record)]
        with suppress(StoreUnavailable):
            self._datastore.commit(map(delete, keys), timeout=_LAST_CALLS)
        return None

    def _write(
        self,
        commits: GroupCommit,
        state: api.Mutation,
        record: Record,
        side: Side,
        parts: Parts,
        written: set[datastore.Key],
    ) -> int:
        if not parts:
            return commits.commit(state)
        entities = [self._layout.part(record.exchange, side, name, data) for name, data in parts.items()]
        return self._calls.write(state, entities, written=written)

    def held_by(self, backend_id: BackendId, agent_id: str) -> Iterator[list[Record]]:
        """What this agent was offered or has fetched, answered or not, in pages."""
        held = (records.BACKEND, EQUAL, backend_id), (records.AGENT, EQUAL, agent_id)
        for page in self._datastore.query(EXCHANGE, *held, page=records.PAGE):
            yield self._layout.records(page)

    def change_each_held(self, backend_id: BackendId, agent_id: str, move: Move) -> None:
        """Apply a rule to each of those that it changes: most it leaves as they are, and they cost nothing."""
        for page in self.held_by(backend_id, agent_id):
            for record in page:
                if move(record)[0] != record:
                    with suppress(UnknownRequest):
                        self.change(backend_id, record.exchange.request_id, move)

    def store_each(self, changed: list[Record]) -> list[Record]:
        """Store records each for itself, and return those that nobody else has changed meanwhile."""
        versions = self._datastore.commit_each(
            [replaced(self._layout.entity(record), record.version) for record in changed]
        )
        won = [replace(record, version=version) for record, version in zip(changed, versions, strict=True) if version]
        for record in won:
            self._recent.put(record)
        return won

    def delete(self, backend_id: BackendId, request_id: RequestId) -> None:
        """Remove an exchange and its parts, if it is there."""
        record = self._recent.get(backend_id, request_id)
        for attempt in range(_ATTEMPTS):
            try:
                self._remove(record or self._load(backend_id, request_id))
            except UnknownRequest:
                return
            except Conflict:
                record = None
                pause(attempt)
            else:
                return
        raise _contention(request_id)

    def delete_each(self, exchanges: Sequence[Exchange]) -> None:
        """Remove those that are there, with their parts: each as it is remembered in one call for all, and what has
        changed since by itself."""
        records = [self._recent.get(each.backend_id, each.request_id) for each in exchanges]
        known = [record for record in records if record is not None]
        results = self._datastore.commit_each([delete(self._key(record), record.version) for record in known])
        gone = [record for record, result in zip(known, results, strict=True) if result is not None]
        self._datastore.commit_each([delete(key) for record in gone for key in self._layout.part_keys(record)])
        names = {record.exchange.request_id for record in gone}
        for each in exchanges:
            self._recent.drop(each.request_id)
            if each.request_id not in names:
                self.delete(each.backend_id, each.request_id)

    def _remove(self, record: Record) -> None:
        keys = list(self._layout.part_keys(record))
        here, later = keys[: MAX_MUTATIONS - 1], keys[MAX_MUTATIONS - 1 :]
        self._datastore.commit([delete(self._key(record), record.version), *map(delete, here)])
        self._recent.drop(record.exchange.request_id)
        self._datastore.commit_each([delete(key) for key in later])


def _contention(request_id: RequestId) -> StoreUnavailable:
    return StoreUnavailable(f"Datastore: too much contention about {request_id}")
