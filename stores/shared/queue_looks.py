"""When a poll need not look: nothing has come since this process took all that waited.

Where the mark of a backend stands as it stood before that look, no request has come since; or its hint was lost, and
then the request is found when the time is over for which a look counts. Without marks that is a moment: an agent polls
again as soon as it was named something.

What a look named and nobody fetched is worth another look when it may be named again.
"""

import time
from collections.abc import Callable, Collection, Hashable, Mapping
from datetime import timedelta
from threading import Lock
from typing import Final, NamedTuple

from broker.bounded import Bounded
from broker.waiting import PendingKey
from wire.protocol import RequestId

_REMEMBERED: Final = 10_000


class Look(NamedTuple):
    """A look at a queue: where its mark stood before, None where nobody knew, and when that was."""

    mark: Hashable | None
    began: float
    named: Mapping[RequestId, float] = {}
    """What was named in it, or shortly before, and when."""


class QueueLooks:
    """Remembers of each backend the last look that took all, for as long as that counts. Bounded; safe to use from
    several threads."""

    def __init__(
        self,
        read_mark: Callable[[PendingKey], Hashable | None],
        *,
        counts_for: timedelta,
        counts_without_mark_for: timedelta,
        names_last_for: timedelta,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read_mark = read_mark
        self._counts_for = counts_for.total_seconds()
        self._counts_without_mark_for = counts_without_mark_for.total_seconds()
        self._names_last_for = names_last_for.total_seconds()
        self._monotonic = monotonic
        self._lock = Lock()  # guards the map
        self._last: Bounded[PendingKey, Look] = Bounded(_REMEMBERED)

    def begin(self, key: PendingKey) -> Look | None:
        """Before each look; None where there is nothing to see."""
        look = Look(self._read_mark(key), self._monotonic())
        with self._lock:
            last = self._last.get(key)
        lasts = self._counts_for if look.mark is not None else self._counts_without_mark_for
        is_spared = last is not None and look.mark == last.mark and look.began - last.began < lasts
        if last is None or not is_spared or len(self._named_lately(last, look.began)) < len(last.named):
            return look
        return None

    def took_all(self, key: PendingKey, look: Look, *, named: Collection[RequestId]) -> None:
        """Nothing that waited was left by this look; some of it may only be named."""
        with self._lock:
            last = self._last.get(key)
            lately = self._named_lately(last, look.began) if last is not None else {}
            self._last[key] = look._replace(named=lately | dict.fromkeys(named, look.began))

    def fetched(self, key: PendingKey, request_id: RequestId) -> None:
        """One that was named has its agent."""
        with self._lock:
            last = self._last.get(key)
            if last is not None and request_id in last.named:
                named = {name: at for name, at in last.named.items() if name != request_id}
                self._last[key] = last._replace(named=named)

    def _named_lately(self, look: Look, now: float) -> dict[RequestId, float]:
        return {name: at for name, at in look.named.items() if now - at < self._names_last_for}
