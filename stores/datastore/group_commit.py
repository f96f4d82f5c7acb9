"""Changes of single entities that come at the same time, in one call for several: as a database gathers the commits for
its log.

A call costs much the same with one change and with ten. While as many calls are under way as may be, further changes
wait for the next of them to end, and go together; when there is little to do, nobody waits.
"""

from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Final

from google.cloud.datastore_v1.types import datastore as api

from stores.datastore.calls import CONTENDED, CallFailed, Code
from stores.datastore.conditional import REFUSED, Conflict, Datastore, name_of

AT_ONCE: Final = 1
"""Calls under way at a time."""

MAX_CHANGES: Final = 16
"""In one call: about a megabyte, with requests and answers of 32 KB in each entity."""

# How a call is refused because of one of its changes.
_BECAUSE_OF_ONE: Final = REFUSED | CONTENDED | {Code.INVALID_ARGUMENT}


@dataclass(eq=False, slots=True)
class _Change:
    mutation: api.Mutation
    alarm: Event = field(default_factory=Event)
    """Rung once: when it is its thread's turn to call, or when another thread has made it."""
    group: list["_Change"] = field(default_factory=list)
    """What its thread is to make, itself among it."""
    version: Future[int] = field(default_factory=Future)


class GroupCommit:
    """Commits that may share a call. Safe to use from several threads."""

    def __init__(self, datastore: Datastore) -> None:
        self._datastore = datastore
        self._lock = Lock()  # guards the two below
        self._waiting: list[_Change] = []
        self._calls = 0

    def commit(self, mutation: api.Mutation) -> int:
        """Make one change and return the new version. Raises `Conflict`."""
        change = _Change(mutation)
        with self._lock:
            self._waiting.append(change)
            if self._calls < AT_ONCE:
                self._calls += 1
                self._appoint()
        change.alarm.wait()  # for calls of other threads, each of which has an end
        if change.group:
            self._lead(change.group)
        return change.version.result()

    def _lead(self, group: list[_Change]) -> None:
        """Make a group, and let another thread make the next."""
        try:
            self._make(group)
        finally:
            with self._lock:
                if self._waiting:
                    self._appoint()
                else:
                    self._calls -= 1
            for change in group:
                change.alarm.set()

    def _appoint(self) -> None:
        """Those that go next, no two of the same entity, are for the thread of the first."""
        going: dict[object, _Change] = {}
        for change in self._waiting:
            if len(going) < MAX_CHANGES:
                going.setdefault(name_of(change.mutation), change)
        first, *_ = group = list(going.values())
        self._waiting = [change for change in self._waiting if change not in group]
        first.group = group
        first.alarm.set()

    def _make(self, group: list[_Change]) -> None:
        """What becomes of it is for each thread to hear."""
        try:
            versions = self._call([change.mutation for change in group])
        except Exception as exc:
            if len(group) > 1 and isinstance(exc, CallFailed) and exc.code in _BECAUSE_OF_ONE:
                for change in group:
                    self._make([change])
            else:
                for change in group:
                    change.version.set_exception(exc)
                if isinstance(exc, CallFailed) and exc.code is Code.DEADLINE_EXCEEDED:
                    self._give_up_waiting(exc)
        else:
            for change, version in zip(group, versions, strict=True):
                if version is None:
                    change.version.set_exception(Conflict())
                else:
                    change.version.set_result(version)

    def _give_up_waiting(self, exc: CallFailed) -> None:
        """Who has waited for a call that got no answer in its time does not wait as long again for the next."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for change in waiting:
            change.version.set_exception(exc)
            change.alarm.set()

    def _call(self, mutations: list[api.Mutation]) -> list[int | None]:
        if len(mutations) > 1:
            return self._datastore.commit_each(mutations)
        return [*self._datastore.commit(mutations)]
