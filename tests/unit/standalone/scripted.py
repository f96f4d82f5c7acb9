"""The application without a server: `receive` is a script, `send` a list."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from broker.errors import NotAllowed
from broker.policy import Policy
from edge.identity import Caller
from standalone.app import StandaloneApp, create_asgi
from standalone.calls import REQUEST_EXTENSION, Message, Scope
from standalone.identity.access import OPEN, Access
from standalone.identity.accounts import Proof
from standalone.identity.reception import PublicReception
from standalone.presence import Presence
from stores.memory.store import MemoryStore
from tests.fakes.clock import FakeClock
from tests.fakes.event_loop import run_at_once
from wire.headers import Headers
from wire.http1 import Length, RequestHead
from wire.protocol import BackendId, RequestId

Fields = tuple[tuple[str, str], ...]
"""What an agent's calls say of it."""

AGENT_FIELDS: Fields = (("X-Inverting-Proxy-Backend-ID", "notebook"), ("X-Inverting-Proxy-Agent-ID", "agent-1"))
MANY = 1 << 30
NAMELESS = AGENT_FIELDS[:1]
NEWER = (*AGENT_FIELDS, ("Authorization", "newer"))
"""The same agent, with a pass that `Passes` takes when the one before is no good any more."""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """One request on its way through an application, and what has come back so far."""

    def __init__(
        self, app: StandaloneApp, scope: Scope, bodies: Iterable[bytes], *, sends: int, is_open: bool = False
    ) -> None:
        self.sent: list[Message] = []
        self._sends = sends
        self._script: asyncio.Queue[Message] = asyncio.Queue()
        *first, last = list(bodies) or [b""]
        for body in first:
            self.say(body)
        self.say(last, is_last=not is_open)
        self.task = asyncio.ensure_future(app(scope, self._receive, self._send))

    def say(self, body: bytes, *, is_last: bool = False) -> None:
        """More of the body of a request that is open."""
        self._script.put_nowait({"type": "http.request", "body": body, "more_body": not is_last})

    async def _receive(self) -> Message:
        return await self._script.get()

    async def _send(self, message: Message) -> None:
        if len(self.sent) >= self._sends:
            await asyncio.get_running_loop().create_future()
        self.sent.append(message)

    async def done(self) -> "Peer":
        """Itself, when the application is through with it."""
        await asyncio.wait_for(self.task, 5)
        return self

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    @property
    def fields(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def is_whole(self) -> bool:
        """True when the answer has been sent to its end."""
        return bool(self.sent) and not self.sent[-1].get("more_body", True)


class Bench:
    """An application over a store and a clock of its own; to be made in an event loop."""

    def __init__(self, policy: Policy | None = None, *, access: Access = OPEN, websockets: int = MANY) -> None:
        self.policy = policy or Policy()
        self.store = MemoryStore(self.policy)
        self.clock = FakeClock()
        self.presence = Presence(self.policy)
        self._count = 0
        self.app = create_asgi(
            store=self.store,
            clock=self.clock,
            policy=self.policy,
            new_id=self._new_id,
            presence=self.presence,
            access=access,
            websockets=websockets,
        )

    def _new_id(self) -> RequestId:
        self._count += 1
        return RequestId(f"request-{self._count}")

    def start(
        self,
        method: str,
        target: str,
        *fields: tuple[str, str],
        bodies: Iterable[bytes] = (),
        length: Length = None,
        sends: int = MANY,
        is_open: bool = False,
        take_over: Callable[..., bool] | None = None,
        when_left: Callable[[Callable[[], None]], None] | None = None,
        is_cut_off: Callable[[], bool] | None = None,
    ) -> Peer:
        """A request, begun; with `is_open` the rest of its body is still to be said. No more than `sends` messages can
        be written to its connection; with `take_over` it can change to another protocol, with `when_left` it was kept
        for this request."""
        head = RequestHead(method, target, Headers([("Host", "h"), *fields]), length)
        offered = {"take_over": take_over, "when_left": when_left, "is_cut_off": is_cut_off}
        scope = {
            "type": "http",
            "scheme": "http",
            "client": ("127.0.0.1", 1),
            "extensions": {REQUEST_EXTENSION: {"head": head, **{name: each for name, each in offered.items() if each}}},
        }
        return Peer(self.app, scope, bodies, sends=sends, is_open=is_open)

    def poll(self, *, own: Fields = AGENT_FIELDS, sends: int = MANY) -> Peer:
        return self.start("GET", "/agent/pending", *own, sends=sends)

    def poll_for_batch(
        self,
        poll_id: str,
        *fields: tuple[str, str],
        sends: int = MANY,
        when_left: Callable[[Callable[[], None]], None] | None = None,
    ) -> Peer:
        own = (*AGENT_FIELDS, ("Accept", "multipart/mixed"), ("X-Inverting-Proxy-Poll-ID", poll_id))
        return self.start("GET", "/agent/pending", *own, *fields, sends=sends, when_left=when_left)

    def fetch(self, request_id: str, *, own: Fields = AGENT_FIELDS) -> Peer:
        return self.start("GET", "/agent/request", *own, ("X-Inverting-Proxy-Request-ID", request_id))

    def post(self, request_id: str, *bodies: bytes, own: Fields = AGENT_FIELDS, is_open: bool = False) -> Peer:
        fields = (*own, ("X-Inverting-Proxy-Request-ID", request_id))
        return self.start("POST", "/agent/response", *fields, bodies=bodies, length="chunked", is_open=is_open)

    async def introduce(self) -> None:
        """Make the backend known, by a poll that breaks off."""
        poll = self.poll()
        await turns()
        poll.task.cancel()
        await turns()


class Passes:
    """A gate for agents with a pass that is good: `Authorization`, or none."""

    def __init__(self) -> None:
        self.good = {"", "newer"}
        self.access = Access(gate=self._let_in, reception=PublicReception(), is_open=True)

    async def _let_in(self, caller: Caller, backend_id: BackendId) -> Proof:
        shown = caller.headers.get("Authorization") or ""
        if shown not in self.good:
            raise NotAllowed("not a good pass", authenticated=False)
        return Proof("ci", lambda: shown in self.good)


async def turns() -> None:
    """Let everything happen that can without time passing."""
    for _ in range(20):
        await asyncio.sleep(0)


def run(
    scenario: Callable[[Bench], Awaitable[None]],
    policy: Policy | None = None,
    *,
    access: Access = OPEN,
    websockets: int = MANY,
) -> None:
    """Run a scenario in an event loop, on a bench of its own."""

    async def main() -> None:
        await scenario(Bench(policy, access=access, websockets=websockets))

    run_at_once(main())
