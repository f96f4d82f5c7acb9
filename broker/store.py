"""The contract of a store. Every sentence here has a test in `tests/contract/store_contract.py`.

A store keeps records and never waits; waiting is `broker.waiting`. It asks no clock for the time: `now` is an argument
of whatever depends on it. It decides nothing: the rules are `broker.exchange`, applied under one lock or in one
transaction.

An exchange has two streams of bytes, each a whole HTTP/1.1 message: its *request*, written by the proxy and read by
the agent, and its *answer*, written by the agent and read by the proxy. Both are appended by byte offset, so that a
repeated write is harmless however it is cut (`exchange.fresh_bytes`). Reading at an offset means that all before it has
arrived: a store may forget those bytes when it needs the room.

What one process has written, it reads at once. Of a store that is shared, another process may know of a changed
registration or status as late as `policy.backends_age`; that nothing serves a user, or that a backend is not there, it
never says from memory. Where the queries of the
service lag behind its writes, a poll may see a request late, and nobody sees it twice.

Every method raises `StoreUnavailable` when the service beneath fails.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Protocol

from broker.model import Answer, Backend, BackendStatus, Exchange, HandedOut, LostPolls, Part, Poll
from wire.protocol import BackendId, RequestId


class Store(Protocol):
    """Backends and exchanges. Safe to call from several threads, and, if it is shared, from several processes."""

    # Backends

    def put_backend(self, backend: Backend) -> None:
        """Register a backend; one with the same ID is replaced, and keeps its status and its exchanges."""
        ...

    def get_backend(self, backend_id: BackendId) -> Backend:
        """The backend as it was put. Raises `UnknownBackend`."""
        ...

    def list_backends(self) -> list[Backend]:
        """All backends, by ID."""
        ...

    def find_backends(self, end_user: str) -> list[Backend]:
        """The backends that serve this user (`routing.end_users_serving`: registered in lower case, in the user's own
        spelling or for all users), in any order."""
        ...

    def delete_backend(self, backend_id: BackendId) -> None:
        """Remove a backend, its status and its exchanges. Raises `UnknownBackend`."""
        ...

    def touch_backend(
        self, backend_id: BackendId, *, polled: datetime | None = None, used: datetime | None = None
    ) -> None:
        """Note that an agent polled, or that a request was queued. Times only grow.

        A store may skip a note within `policy.touch_spacing` of the last one. A note for a backend that is not
        registered leaves nothing behind, also when it is deleted at that moment.
        """
        ...

    def get_statuses(self, backend_ids: Collection[BackendId]) -> Mapping[BackendId, BackendStatus]:
        """What is known of these backends; an ID of which nothing is known may be absent."""
        ...

    # The proxy's side of an exchange

    def add_exchange(self, exchange: Exchange, request: bytes, *, last: bool) -> None:
        """Queue an exchange with the first bytes of its request; `last`: they are all there is.

        From here on it is listed. Raises `DuplicateRequest` for an ID that is in use, by whatever backend, and
        `Overloaded` or `TooManyRequests` at a bound (`broker.quotas`).
        """
        ...

    def append_request(
        self, backend_id: BackendId, request_id: RequestId, offset: int, data: bytes, *, last: bool, now: datetime
    ) -> int:
        """Add bytes to the request, and return the offset up to which it is stored now.

        It may be less than `offset + len(data)`: the store is full until the agent has read; offer the rest again.
        `last` counts only when all of `data` was taken. Raises `UnknownRequest`, `ConflictingBytes`.
        """
        ...

    def read_answer(self, backend_id: BackendId, request_id: RequestId, offset: int) -> Answer:
        """How far the exchange is, and the bytes of its answer from `offset` on, if there are any yet or its end is
        reached; not necessarily all there are. Who has just queued the exchange may be told once that there is nothing.

        Raises `UnknownRequest`, also for another backend's, and `ConflictingBytes` for forgotten bytes and for an
        offset behind the stored ones.
        """
        ...

    def delete_exchange(self, backend_id: BackendId, request_id: RequestId) -> None:
        """Delivered or given up: remove the exchange and all its bytes, also those that are being appended. Nothing
        happens when it is not there, or is another backend's."""
        ...

    # The agent's side of an exchange

    def claim_pending(
        self, backend_id: BackendId, *, agent_id: str, now: datetime, takes_upgrades: bool = False
    ) -> list[RequestId]:
        """Offer waiting requests of a backend to an agent, oldest first, at most `policy.list_limit`. One whose lease
        has lapsed may count as new. Those that want to upgrade are for agents that take upgrades.

        Each is hidden from other polls until `policy.offer_lease` is over; of many who ask, one gets it, and the others
        may come back with fewer than there are. Requests that are offered or abandoned (`exchange.is_abandoned`) hide
        none. A store may keep some for another agent (`broker.assignment`), where the backend's options say so.
        """
        ...

    def hand_out(self, backend_id: BackendId, poll: Poll, *, now: datetime) -> list[HandedOut]:
        """Give waiting requests of a backend to the agent that polls, until their answers are due: oldest first, as
        many as it can begin and a batch holds (`batches.Room`), as `claim_pending` picks them.

        One that is not whole yet, or too long for a batch, is only offered.
        """
        ...

    def take_back(self, backend_id: BackendId, lost: LostPolls, *, agent_id: str, now: datetime) -> None:
        """Polls of an agent are lost: what was handed out in them and has not arrived is queued again, and nothing more
        is handed out in them. A store remembers that for longer than any poll waits."""
        ...

    def fetch_exchange(self, backend_id: BackendId, request_id: RequestId, *, agent_id: str, now: datetime) -> Exchange:
        """Give a request to an agent until its answer is due. Raises `UnknownRequest`, also for another backend's and
        for one that is abandoned, and `ClaimedElsewhere`."""
        ...

    def read_request(self, backend_id: BackendId, request_id: RequestId, offset: int) -> Part | None:
        """The bytes of the request from `offset` on, if there are any yet or its end is reached; not necessarily all.

        Raises `UnknownRequest` and `ConflictingBytes` as `read_answer` does.
        """
        ...

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
        """Add bytes to the answer, and return the offset up to which it is stored now, as `append_request` does.

        Raises `UnknownRequest`, `ClaimedElsewhere` for an agent that does not hold the exchange, `BrokenAnswer` when it
        has failed, `ConflictingBytes`.
        """
        ...

    def fail_exchange(self, backend_id: BackendId, request_id: RequestId, *, agent_id: str, reason: str) -> None:
        """The answer cannot be completed: whoever reads it learns so. Raises `UnknownRequest`, `ClaimedElsewhere`."""
        ...

    def release_offers(self, backend_id: BackendId, *, agent_id: str) -> None:
        """An agent asks for no more: what is on offer to it is listed again at once. What it has fetched stays with
        it."""
        ...

    def release_agent(self, backend_id: BackendId, *, agent_id: str) -> None:
        """An agent has gone: of what it holds, requeue what may be repeated and can be read from its first byte, fail
        the rest (`exchange.release`)."""
        ...

    # The sweep

    def sweep(self, *, now: datetime, is_over: Callable[[], bool] = lambda: False) -> int:
        """Remove every exchange that has expired, and bytes that belong to none, until nothing is left; how many
        exchanges went. What has not expired stays.

        A store that is elsewhere asks now and then whether the time for it `is_over`, and leaves the rest to the next
        sweep then."""
        ...
