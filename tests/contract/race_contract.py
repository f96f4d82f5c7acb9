"""What holds in every store when many ask at once. Rounds are repeated under a tiny switch interval: a store whose lock
or conditional write is taken away fails here."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

import pytest

from broker.errors import ClaimedElsewhere, ConflictingBytes, DuplicateRequest, UnknownRequest
from broker.store import Store
from tests.contract.cases import (
    NOW,
    a_poll,
    answer,
    claim,
    everything,
    fetched,
    hand_out,
    handed_ids,
    later,
    lose,
    part_of_answer,
    part_of_request,
    queued,
)
from tests.factories import BACKEND, REQUEST, a_backend, an_exchange
from wire.protocol import RequestId

T = TypeVar("T")

THREADS: Final = 8
REQUESTS: Final = 20
ROUNDS: Final = 5


def at_once(*calls: Callable[[], T]) -> list[T]:
    """The results of all calls, each in a thread of its own, begun together."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


@pytest.mark.usefixtures("restless")
class RaceContract:
    """Of many who ask, one gets it."""

    @pytest.mark.parametrize("attempt", range(ROUNDS))
    def test_of_many_claimants_one_wins(self, store: Store, attempt: int) -> None:
        names = [f"request-{number}" for number in range(REQUESTS)]
        for name in names:
            queued(store, name)

        def claim_as(agent_id: str) -> Callable[[], list[RequestId]]:
            return lambda: claim(store, agent_id=agent_id)

        claimed = at_once(*(claim_as(f"agent-{number}") for number in range(THREADS)))
        # A poll that loses against others may come back with less than there is: the next one finds the rest.
        claimed.append(claim(store, agent_id="agent-last"))
        assert sorted(name for names_ in claimed for name in names_) == sorted(names)

    @pytest.mark.parametrize("attempt", range(ROUNDS))
    def test_of_many_polls_of_both_versions_one_has_a_request(self, store: Store, attempt: int) -> None:
        names = [f"request-{number}" for number in range(REQUESTS)]
        for name in names:
            queued(store, name, method="POST")

        def poll_as(number: int) -> Callable[[], list[RequestId]]:
            agent_id = f"agent-{number}"

            def list_and_fetch() -> list[RequestId]:
                won = []
                for name in claim(store, agent_id=agent_id):
                    with suppress(ClaimedElsewhere):
                        won.append(store.fetch_exchange(BACKEND, name, agent_id=agent_id, now=NOW).request_id)
                return won

            poll = a_poll(f"poll-{number}", agent_id=agent_id, capacity=7)
            return list_and_fetch if number % 2 else lambda: handed_ids(store, poll)

        won = at_once(*(poll_as(number) for number in range(THREADS)))
        last = a_poll("poll-last", agent_id="agent-last", capacity=REQUESTS)
        # A poll that loses against others may come back with less than there is.
        won.append(handed_ids(store, last))
        assert sorted(name for names_ in won for name in names_) == sorted(names)

    @pytest.mark.parametrize("attempt", range(ROUNDS))
    def test_what_is_handed_out_while_its_poll_is_called_lost_is_not_lost(self, store: Store, attempt: int) -> None:
        names = [f"request-{number}" for number in range(REQUESTS)]
        for name in names:
            queued(store, name, method="POST")

        # Nothing of it arrives: the agent has gone on, and says so while it is being served.
        at_once(lambda: hand_out(store), lambda: lose(store, "poll-1"))
        assert sorted(handed_ids(store, a_poll("poll-2", agent_id="agent-2"))) == sorted(names)

    @pytest.mark.parametrize("attempt", range(ROUNDS))
    def test_an_answer_that_begins_while_its_poll_is_called_lost_is_of_one_agent(
        self, store: Store, attempt: int
    ) -> None:
        names = [queued(store, f"request-{number}").request_id for number in range(REQUESTS)]
        hand_out(store)

        def say() -> list[RequestId]:
            said = []
            for name in names:
                with suppress(ClaimedElsewhere):
                    answer(store, 0, b"whole", last=True, request_id=name)
                    said.append(name)
            return said

        def lose_and_poll() -> list[RequestId]:
            lose(store, "poll-1")
            return handed_ids(store, a_poll("poll-2", agent_id="agent-2"))

        answered, handed = at_once(say, lose_and_poll)
        assert sorted(answered + handed) == sorted(names)

    @pytest.mark.parametrize("attempt", range(ROUNDS))
    def test_of_many_who_fetch_one_wins(self, store: Store, attempt: int) -> None:
        names = [RequestId(f"request-{number}") for number in range(REQUESTS)]
        for name in names:
            queued(store, name)

        def fetch_all_as(agent_id: str) -> Callable[[], list[RequestId]]:
            def fetch_all() -> list[RequestId]:
                won = []
                for name in names:
                    try:
                        store.fetch_exchange(BACKEND, name, agent_id=agent_id, now=NOW)
                    except ClaimedElsewhere:
                        continue
                    won.append(name)
                return won

            return fetch_all

        won = at_once(*(fetch_all_as(f"agent-{number}") for number in range(THREADS)))
        assert sorted(name for names_ in won for name in names_) == sorted(names)
        for number, names_ in enumerate(won):
            for name in names_:
                assert store.read_answer(BACKEND, name, 0).exchange.agent_id == f"agent-{number}"

    @pytest.mark.parametrize("attempt", range(ROUNDS))
    def test_of_many_agents_without_a_name_one_fetches(self, store: Store, attempt: int) -> None:
        for number in range(3):
            exchange = queued(store, f"request-{number}")

            def fetch(name: RequestId = exchange.request_id) -> bool:
                try:
                    store.fetch_exchange(BACKEND, name, agent_id="", now=NOW)
                except ClaimedElsewhere:
                    return False
                return True

            assert at_once(*[fetch] * THREADS).count(True) == 1

    @pytest.mark.parametrize("attempt", range(ROUNDS))
    def test_of_many_with_one_id_one_is_queued(self, store: Store, attempt: int) -> None:
        store.put_backend(a_backend())

        def add(number: int) -> Callable[[], bytes | None]:
            def call() -> bytes | None:
                data = b"%d" % number * 1000
                try:
                    store.add_exchange(an_exchange(), data, last=True)
                except DuplicateRequest:
                    return None
                return data

            return call

        queued_bytes = [data for data in at_once(*(add(number) for number in range(THREADS))) if data is not None]
        assert queued_bytes == [everything(part_of_request, store)]

    @pytest.mark.parametrize("attempt", range(ROUNDS))
    def test_two_answers_are_never_spliced(self, store: Store, attempt: int) -> None:
        fetched(store)
        answers = [bytes([65 + number]) * (40 + number) for number in range(THREADS)]

        def post(data: bytes) -> Callable[[], bytes | None]:
            def call() -> bytes | None:
                try:
                    for offset in range(0, len(data), 10):
                        answer(store, offset, data[offset : offset + 10], last=offset + 10 >= len(data))
                except ConflictingBytes:
                    return None
                return data

            return call

        stored = [data for data in at_once(*(post(data) for data in answers)) if data is not None]
        assert stored == [everything(part_of_answer, store)]

    @pytest.mark.parametrize("attempt", range(ROUNDS))
    def test_an_answer_posted_many_times_at_once_is_stored_once(self, store: Store, attempt: int) -> None:
        fetched(store)
        data = bytes(range(200))

        def post(piece: int) -> Callable[[], None]:
            def call() -> None:
                for offset in range(0, len(data), piece):
                    answer(store, offset, data[offset : offset + piece], last=offset + piece >= len(data))

            return call

        at_once(*(post(piece) for piece in (23, 37, 61, 200)))
        assert everything(part_of_answer, store) == data

    @pytest.mark.parametrize("attempt", range(ROUNDS))
    def test_both_streams_grow_at_once(self, store: Store, attempt: int) -> None:
        store.put_backend(a_backend())
        store.add_exchange(an_exchange(), b"", last=False)
        store.fetch_exchange(BACKEND, REQUEST, agent_id="agent-1", now=NOW)

        def ask() -> None:
            for number in range(10):
                store.append_request(BACKEND, REQUEST, number, b"q", last=number == 9, now=NOW)

        def say() -> None:
            for number in range(10):
                answer(store, number, b"a", last=number == 9)

        at_once(ask, say)
        assert everything(part_of_request, store) == b"q" * 10
        assert everything(part_of_answer, store) == b"a" * 10

    @pytest.mark.parametrize("attempt", range(ROUNDS))
    def test_deleting_during_an_answer_leaves_nothing(self, store: Store, attempt: int) -> None:
        fetched(store)

        def say() -> None:
            try:
                for number in range(20):
                    answer(store, number, b"a", last=False)
            except UnknownRequest:
                return

        at_once(say, lambda: store.delete_exchange(BACKEND, REQUEST))
        with pytest.raises(UnknownRequest):
            store.read_answer(BACKEND, REQUEST, 0)
        queued(store, request=b"anew")
        assert everything(part_of_request, store) == b"anew"
        assert part_of_answer(store, 0) is None

    @pytest.mark.parametrize("attempt", range(ROUNDS))
    def test_a_note_during_a_deletion_leaves_nothing(self, store: Store, attempt: int) -> None:
        store.put_backend(a_backend())

        def touch(second: int) -> Callable[[], None]:
            return lambda: store.touch_backend(BACKEND, polled=later(100 * second))

        at_once(*(touch(second) for second in range(4)), lambda: store.delete_backend(BACKEND))
        assert BACKEND not in store.get_statuses([BACKEND])
        assert store.list_backends() == []
