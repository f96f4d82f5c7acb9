"""One exchange in simulated time: a store, a clock, and a script of what happens meanwhile."""

from typing import Final

from broker.model import Exchange, Part
from broker.policy import Policy
from broker.waiting import (
    append_all_of_answer,
    append_all_of_request,
    drive,
    wait_for_answer,
    wait_for_pending,
    wait_for_request,
)
from stores.memory.store import MemoryStore
from tests.factories import BACKEND, REQUEST, a_backend, an_exchange, seconds
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.waiter import Action, ScriptedWaiter

POLICY: Final = Policy()
AGENT: Final = "agent-1"


class Scene:
    """A store with one backend, a clock at noon, and a script of what happens meanwhile, in seconds from noon."""

    def __init__(self, *script: tuple[float, Action], window: int = 1 << 20, policy: Policy = POLICY) -> None:
        self.policy = policy
        self.clock = FakeClock()
        self.store = MemoryStore(policy, window=window)
        self.store.put_backend(a_backend())
        self.waiter = ScriptedWaiter(self.clock)
        self.script(*script)

    def script(self, *script: tuple[float, Action]) -> None:
        self.waiter = ScriptedWaiter(self.clock, [(seconds(at), action) for at, action in script])

    @property
    def elapsed(self) -> float:
        return (self.clock.now() - NOON).total_seconds()

    def add(self, request: bytes = b"GET", *, last: bool = True, exchange: Exchange | None = None) -> None:
        self.store.add_exchange(exchange or an_exchange(), request, last=last)

    def fetch(self) -> None:
        self.store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=self.clock.now())

    def answer(self, offset: int, data: bytes, *, last: bool = False) -> None:
        now = self.clock.now()
        self.store.append_answer(BACKEND, REQUEST, offset, data, agent_id=AGENT, last=last, now=now)

    def fail(self) -> None:
        self.store.fail_exchange(BACKEND, REQUEST, agent_id=AGENT, reason="backend-broke")

    def poll(self, agent_id: str = AGENT) -> list[str]:
        waiting = wait_for_pending(self.store, self.clock, self.policy, BACKEND, agent_id=agent_id)
        return [*drive(waiting, self.waiter)]

    def read_request(self, offset: int = 0) -> Part:
        return drive(wait_for_request(self.store, self.clock, self.policy, BACKEND, REQUEST, offset), self.waiter)

    def read_answer(self, offset: int = 0) -> Part:
        return drive(wait_for_answer(self.store, self.clock, self.policy, an_exchange(), offset), self.waiter)

    def send_request(self, part: Part) -> None:
        drive(append_all_of_request(self.store, self.clock, self.policy, BACKEND, REQUEST, part), self.waiter)

    def send_answer(self, part: Part) -> None:
        waiting = append_all_of_answer(self.store, self.clock, self.policy, BACKEND, REQUEST, part, agent_id=AGENT)
        drive(waiting, self.waiter)
