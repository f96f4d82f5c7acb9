"""Threads' way to wait over a store that other processes share: one look serves all that wait here.

There is no thread for it. Whoever is due first looks for the others too, and puts their looks off: of many polls of a
backend one asks the store, and of many exchanges that are due together all are looked for in one call. A thread that
alone is due just asks the store, which is the same look. On App Engine that matters in another way: its services take
calls of a request's own thread alone.

With marks in a cache (`stores.shared.hints`) looks are cheap and frequent, and the store is asked only now and then.
"""

import time
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event, Lock
from typing import Final, Protocol

from broker.bounded import Bounded
from broker.policy import Policy, hint_interval, idle_interval, polling_interval
from broker.waiting import ExchangeKey, Key, PendingKey, Wait

_REMEMBERED: Final = 10_000


class Marks(Protocol):
    """Says of keys, all in one call, where each stands: what differs from the last time is news."""

    def read(self, keys: Collection[Key]) -> Mapping[Key, Hashable] | None:
        """A mark for each key of which there is something to say; None when nobody can be asked just now."""
        ...


@dataclass(eq=False, slots=True)
class _Source:
    """Marks, and where each key stood in them last: whoever was asleep then, was woken."""

    marks: Marks
    seen: Bounded[Key, Hashable] = field(default_factory=lambda: Bounded(_REMEMBERED))


@dataclass(eq=False, slots=True)
class _Sleeper:
    """A thread that waits. Times are those of the monotonic clock, in seconds."""

    key: Key
    began: float
    """When its loop began to wait, some waits ago perhaps."""
    ends_at: float
    asks_at: float
    """When its loop asks the store again, never after the end."""
    looks_at: float
    """When the hints are looked at for it."""
    alarm: Event = field(default_factory=Event)
    """Rung when it is woken, or when its times have been moved forward."""
    is_woken: bool = False

    @property
    def due(self) -> float:
        return min(self.asks_at, self.looks_at)


class SharedWaiter:
    """A `Waiter`. What it remembers of marks and wakes is bounded; what it forgets costs a look, or a slow one.

    `store_marks` are the store's own, of exchanges alone; `hints` are those of a cache.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        store_marks: Marks | None = None,
        hints: Marks | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._in_store = _Source(store_marks) if store_marks is not None else None
        self._hints = _Source(hints) if hints is not None else None
        self._monotonic = monotonic
        self._lock = Lock()  # guards all below; never held during a call
        self._sleepers: list[_Sleeper] = []
        self._wakes = 0
        self._last_wake: Bounded[Key, int] = Bounded(_REMEMBERED)
        self._lively: Bounded[Key, float] = Bounded(_REMEMBERED)
        """When something was to be expected last for the agents of a backend."""
        self._is_hinted = hints is not None

    def ticket(self) -> int:
        with self._lock:
            return self._wakes

    def wait(self, wait: Wait, *, ticket: int) -> None:
        sleeper = self._lie_down(wait, ticket)
        if sleeper is None:
            return
        try:
            while not sleeper.is_woken:
                if sleeper.alarm.wait(max(sleeper.due - self._monotonic(), 0)):
                    sleeper.alarm.clear()
                elif self._must_ask(sleeper):
                    return
        finally:
            with self._lock:
                self._sleepers.remove(sleeper)

    def read_hint(self, key: Key) -> Hashable | None:
        """Where a key stands, for somebody who is going to ask the store: nobody is woken for that any more. None where
        no hint says it."""
        if self._hints is None:
            return None
        found = self._hints.marks.read([key]) or {}
        if key not in found:
            return None
        with self._lock:
            self._hints.seen[key] = found[key]
        return found[key]

    def wake(self, key: Key) -> None:
        """This process has learned something about the key."""
        with self._lock:
            self._wake(key)

    def learn(self, key: Key, mark: Hashable) -> None:
        """This process has seen or changed where a key stands in the store: others here may wait for that."""
        if self._in_store is not None:
            with self._lock:
                self._note(self._in_store, key, mark)

    def expect(self, key: PendingKey) -> None:
        """There may soon be something for the agents of a backend, as after an answer."""
        now = self._monotonic()
        with self._lock:
            self._lively[key] = now
            sleepers = self._of(key)
            for each in sleepers:
                self._plan(each, now)
            if sleepers:
                _newest(sleepers).alarm.set()  # it asks, and puts the others off

    # How a thread lies down

    def _lie_down(self, wait: Wait, ticket: int) -> _Sleeper | None:
        """The sleeper; none when its key was woken since the ticket."""
        now = self._monotonic()
        with self._lock:
            if self._last_wake.get(wait.key, 0) > ticket:
                return None
            ends_at = now + wait.timeout.total_seconds()
            sleeper = _Sleeper(wait.key, now - wait.waited.total_seconds(), ends_at, ends_at, ends_at)
            self._plan(sleeper, now)
            self._sleepers.append(sleeper)
            return sleeper

    def _plan(self, sleeper: _Sleeper, now: float) -> None:
        """Set when it asks and looks next, from now on."""
        self._plan_to_ask(sleeper, now)
        self._plan_to_look(sleeper, now)

    def _plan_to_ask(self, sleeper: _Sleeper, now: float) -> None:
        policy, is_pending = self._policy, isinstance(sleeper.key, PendingKey)
        lasted = self._lasted(sleeper, now)
        if not self._is_hinted:
            pause = (idle_interval if is_pending else polling_interval)(lasted, policy)
        elif not is_pending:
            pause = policy.hinted_slowest
        else:
            # No hint says that what was named just now was not fetched.
            pause = policy.name_lease if lasted < policy.name_lease else policy.hinted_idle
        sleeper.asks_at = min(sleeper.ends_at, now + pause.total_seconds())

    def _plan_to_look(self, sleeper: _Sleeper, now: float) -> None:
        if self._hints is not None:
            sleeper.looks_at = now + hint_interval(self._lasted(sleeper, now), self._policy).total_seconds()

    def _lasted(self, sleeper: _Sleeper, now: float) -> timedelta:
        """How long it waits; for agents how long nothing has been heard of their backend."""
        began = self._lively.get(sleeper.key, 0.0) if isinstance(sleeper.key, PendingKey) else sleeper.began
        return timedelta(seconds=now - began)

    # What a thread does that is due

    def _must_ask(self, sleeper: _Sleeper) -> bool:
        """True when its loop has to ask the store; otherwise it goes on waiting, unless it was just woken."""
        now = self._monotonic()
        with self._lock:
            if sleeper.due > now:
                return False  # another has asked or looked for it
            is_to_ask = sleeper.asks_at <= now
            if is_to_ask and isinstance(sleeper.key, PendingKey):
                return self._let_newest_ask(sleeper, now)
            keys = self._put_off_asking(now) if is_to_ask else self._put_off_looking(now)
        if not is_to_ask:
            assert self._hints is not None  # only then looks come before the end
            self._note_hints(self._look(self._hints, keys))
            return False
        if self._in_store is None or len(keys) < 2 or sleeper.ends_at <= now:
            return True
        return not self._look(self._in_store, keys)

    def _let_newest_ask(self, sleeper: _Sleeper, now: float) -> bool:
        """Of the polls of a backend one asks, and the others wait on. True where that is this one: also when its time
        is over."""
        sleepers = self._of(sleeper.key)
        for each in sleepers:
            self._plan_to_ask(each, now)
        if sleeper.ends_at <= now or not sleepers:
            return True
        newest = _newest(sleepers)
        newest.is_woken = True
        newest.alarm.set()
        return newest is sleeper

    def _put_off_asking(self, now: float) -> set[Key]:
        """The exchanges that are due at this time, and may be asked for together."""
        soon = now + self._policy.poll_fastest.total_seconds() / 2
        due = [each for each in self._sleepers if each.asks_at <= soon and isinstance(each.key, ExchangeKey)]
        keys = {each.key for each in due}
        if self._in_store is not None and len(keys) > 1:
            for each in due:
                self._plan_to_ask(each, now)
        return keys

    def _put_off_looking(self, now: float) -> set[Key]:
        """The keys of all that wait: one call, more of them or less."""
        for each in self._sleepers:
            self._plan_to_look(each, now)
        return {each.key for each in self._sleepers}

    def _note_hints(self, are_there: bool) -> None:
        """Without hints all ask as if there had never been any, and with them back, less."""
        with self._lock:
            if are_there != self._is_hinted:
                self._is_hinted = are_there
                now = self._monotonic()
                for each in self._sleepers:
                    self._plan_to_ask(each, now)

    def _look(self, source: _Source, keys: Collection[Key]) -> bool:
        """Wake those of whom there is news. False when nobody could be asked."""
        found = source.marks.read(keys)
        if found is None:
            return False
        with self._lock:
            for key, mark in found.items():
                self._note(source, key, mark)
        return True

    def _note(self, source: _Source, key: Key, mark: Hashable) -> None:
        """Wake those who wait for the key, unless it stood there before: then they have been woken, or came later."""
        if source.seen.get(key) != mark:
            source.seen[key] = mark
            self._wake(key)

    def _wake(self, key: Key) -> None:
        self._wakes += 1
        self._last_wake[key] = self._wakes
        sleepers = self._of(key)
        if isinstance(key, PendingKey):
            self._lively[key] = self._monotonic()
            sleepers = [_newest(sleepers)] if sleepers else []  # who gets something wakes the next
        for each in sleepers:
            each.is_woken = True
            each.alarm.set()

    def _of(self, key: Key) -> list[_Sleeper]:
        return [each for each in self._sleepers if each.key == key and not each.is_woken]


def _newest(sleepers: Sequence[_Sleeper]) -> _Sleeper:
    """The poll that began last: of an agent that was killed none is new, and on App Engine nobody sees that it has
    gone."""
    return max(sleepers, key=lambda each: each.began)
