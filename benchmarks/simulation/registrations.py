"""What instances know of backends: read again after its age, noted every `touch_spacing`."""

from datetime import datetime
from typing import Final

from benchmarks.simulation.datastore import Contended, Datastore
from benchmarks.simulation.engine import EPOCH, Engine, Process
from benchmarks.simulation.inputs import ENTITY
from broker.model import Backend, BackendStatus
from broker.policy import Policy
from broker.routing import choose_backend, find_candidates
from wire.protocol import BackendId

_GOLDEN: Final = 0.6180339887


class Registrations:
    """The backends: one for each user, so that routing finds one."""

    def __init__(self, engine: Engine, datastore: Datastore, policy: Policy, *, backends: int) -> None:
        self._engine = engine
        self._datastore = datastore
        self._policy = policy
        self.backends = [_backend(number) for number in range(backends)]
        self._statuses = {backend.backend_id: BackendStatus(engine.now()) for backend in self.backends}
        self._read: dict[tuple[int, BackendId], float] = {}
        self._noted: dict[tuple[str, int, BackendId], datetime] = {}
        self._written: dict[tuple[str, BackendId], datetime] = {}

    def route(self, number: int, *, instance: int) -> Process[Backend]:
        """The backend of a user, by the rules. Raises `BackendOffline`."""
        registered = self.backends[number]
        user = registered.end_user
        key = instance, registered.backend_id
        age = self._policy.backends_age.total_seconds()
        if self._engine.seconds - self._read.get(key, -age) >= age:
            yield from self._datastore.query()
            yield from self._datastore.lookup()
            self._read[key] = self._engine.seconds
        candidates = find_candidates([registered], user=user, host="", path="/")
        return choose_backend(candidates, self._statuses, path="/", now=self._engine.now(), policy=self._policy)

    def touch(self, number: int, what: str, *, instance: int) -> Process[None]:
        """Note that a backend was polled or used, unless an instance has lately. Raises `Contended`."""
        backend_id = self.backends[number].backend_id
        key, now = (what, instance, backend_id), self._engine.now()
        noted = self._noted.get(key) or self._noted_before(number)
        if now < noted + self._policy.touch_spacing:
            return
        # Requests that come to an instance meanwhile find it noted: the model is a little kinder than the store.
        self._noted[key] = now
        try:
            yield from self._datastore.lookup()
            noted = self._noted[key] = self._written.get((what, backend_id), noted)
            if now < noted + self._policy.touch_spacing:
                return
            self._noted[key] = self._written[what, backend_id] = now
            yield self._datastore.cross([(("the status of a backend", backend_id), ENTITY)], self._engine.seconds)
            yield self._datastore.begin_commit()
        except Contended:
            self._noted[key] = self._written[what, backend_id] = noted
            raise
        if what == "polled":
            self._statuses[backend_id] = BackendStatus(now)

    def _noted_before(self, number: int) -> datetime:
        """At the start each backend has been noted within the last `touch_spacing`, at times spread evenly: what is
        shown is the pace that they keep."""
        share = number * _GOLDEN % 1
        return EPOCH - share * self._policy.touch_spacing


def _backend(number: int) -> Backend:
    return Backend(
        backend_id=BackendId(f"b{number}"),
        backend_user="agent@example.org",
        end_user=f"u{number}@example.org",
        path_prefixes=("/",),
    )
