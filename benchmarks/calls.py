"""Calls to Datastore for a request, by method and by kind."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from benchmarks.loads import Load, is_answered
from benchmarks.systems import System
from tests.datastore_relay import Call, DatastoreRelay

_CALM: Final = 0.5
"""Seconds without a change, after which what was delivered has been deleted."""

Shares = dict[str, float]
"""By name, how many for each request, or in a minute."""


@dataclass(frozen=True, slots=True)
class Calls:
    """What was asked of Datastore: calls by method, and by kind the entities that were changed and what was read: each
    entity by its key, each query as one."""

    methods: Shares
    read: Shares
    written: Shares
    deleted: Shares

    @classmethod
    def of(cls, calls: Iterable[Call], *, per: float) -> "Calls":
        """The shares of so many requests or minutes."""
        calls = list(calls)

        def shares(names: Iterable[str]) -> Shares:
            return {name: count / per for name, count in sorted(Counter(names).items())}

        return cls(
            methods=shares(call.method for call in calls),
            read=shares(kind for call in calls for kind in call.read),
            written=shares(kind for call in calls for kind in call.written),
            deleted=shares(kind for call in calls for kind in call.deleted),
        )

    @property
    def total(self) -> float:
        return sum(self.methods.values())


def ask_times(system: System, load: Load, *, clients: int, times: int) -> None:
    """So many requests of each client, one after the other. Raises `RuntimeError` unless each is answered."""

    def ask(client: int) -> None:
        for _ in range(times):
            if not is_answered(f"127.0.0.1:{system.port}", load):
                raise RuntimeError(f"{system.name} does not answer {load.title} as it should")

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(ask, range(clients)))


def calls_during(act: Callable[[], object], relay: DatastoreRelay) -> list[Call]:
    """The calls that something makes, and what is deleted after it."""
    relay.calls.clear()
    act()
    calls = list(relay.calls)
    while not _is_calm(relay):
        pass
    return calls + [call for call in relay.calls[len(calls) :] if call.deleted]


def _is_calm(relay: DatastoreRelay) -> bool:
    """True when for a while nothing has been changed."""
    before = relay.methods()["Commit"]
    time.sleep(_CALM)  # noqa: TID251  # that nothing happens is what is asked
    return relay.methods()["Commit"] == before
