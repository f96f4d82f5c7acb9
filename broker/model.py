"""The records. Frozen: a rule returns a new one. Those that each request needs anew are tuples, which cost least."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final, NamedTuple

from wire.protocol import BackendId, RequestId

ALL_USERS: Final = "allUsers"
"""The end user of a backend that serves everybody whom the proxy lets in."""


class Sharing(Enum):
    """How the agents of one backend share its requests."""

    PULL = "pull"
    """Whoever has room takes the oldest."""
    STANDBY = "standby"
    """One takes all; another stands by until that one has gone."""
    STICKY = "sticky"
    """The requests of one browser, or user, stay with one agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the stand-alone proxy does for a backend beyond routing; None: as the policy has it for all."""

    agents: Sharing = Sharing.PULL
    max_exchanges: int | None = None
    """The most requests under way at a time."""
    max_queue: int | None = None
    """The most of them that no agent has taken yet."""
    shim_path: str = ""
    """Below which path its agents carry websockets over ordinary requests; no slashes around it. Empty: they do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A registration: whose agents may serve which users' requests."""

    backend_id: BackendId
    backend_user: str
    """The account of the agents, an e-mail address."""
    end_user: str
    """The e-mail address of the one user, a domain (`@example.org`) for all its users, or `ALL_USERS`."""
    path_prefixes: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    """The hosts it serves, in the spelling of `broker.hosts`: names, or `*.` and a name for all below it. None: any."""
    options: Options = Options()


class BackendStatus(NamedTuple):
    """What happened to a backend lately; None where nothing is known."""

    last_polled: datetime | None = None
    last_used: datetime | None = None


class State(Enum):
    """Where an exchange stands; the table of moves is `broker.exchange.TRANSITIONS`."""

    QUEUED = "queued"
    OFFERED = "offered"
    FETCHED = "fetched"
    ANSWERING = "answering"
    ANSWERED = "answered"
    FAILED = "failed"


class Exchange(NamedTuple):
    """One request on its way, without its bytes."""

    request_id: RequestId
    backend_id: BackendId
    end_user: str
    """E-mail address of the user, or empty where nobody was identified."""
    method: str
    started: datetime
    expires: datetime
    """From here on nobody waits for it any more; the sweep takes it."""
    state: State = State.QUEUED
    agent_id: str = ""
    """Who holds the lease; empty for an agent that does not name itself."""
    leased_until: datetime | None = None
    poll_id: str = ""
    """The poll that handed it out, as long as that may have been lost; empty in version 1."""
    failure: str = ""
    """Why the state is `FAILED`: a reason for machines."""
    affinity: str | None = None
    """What keeps it with one agent (`broker.affinity`): empty where that is still to be found; None where all are
    alike."""
    upgrade: str = ""
    """The protocol that the client wants to change to, in lower case; empty for a request that wants an answer."""


class Part(NamedTuple):
    """Consecutive bytes of a stream: `data` stands at `offset`; after it nothing follows when `last`."""

    offset: int
    data: bytes
    last: bool

    @property
    def end(self) -> int:
        """The offset behind the data."""
        return self.offset + len(self.data)


class Answer(NamedTuple):
    """How far an exchange has come, and the bytes of its answer from the offset asked for (None: none yet)."""

    exchange: Exchange
    part: Part | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """A poll of version 2: which agent asks, the name of this attempt, and what it can begin."""

    agent_id: str
    poll_id: str
    capacity: int
    takes_upgrades: bool = False
    offers_only: bool = False
    """Nothing is given away in it: its shell cannot see that whoever polled has gone, so that each request is fetched,
    and goes to others soon where it is not."""

    @property
    def as_lost(self) -> "LostPolls":
        """That nothing of its answer has arrived."""
        return LostPolls(frozenset((self.poll_id,)))


@dataclass(frozen=True, slots=True)
class HandedOut:
    """An exchange in the hands of an agent with its whole request; None: it is only offered, and has to be fetched."""

    exchange: Exchange
    request: bytes | None


@dataclass(frozen=True, slots=True)
class LostPolls:
    """Polls of an agent whose answers have not arrived whole, and the requests that it has received of them."""

    poll_ids: frozenset[str] = frozenset()
    received: frozenset[RequestId] = frozenset()
