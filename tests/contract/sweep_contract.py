"""What holds for the sweep, in every store: it takes what has expired, all of it, and nothing else."""

import pytest

from broker.errors import UnknownRequest
from broker.store import Store
from tests.contract.cases import (
    NOW,
    OTHER_BACKEND,
    POLICY,
    REQUEST_BYTES,
    answer,
    claim,
    everything,
    fetched,
    later,
    part_of_answer,
    part_of_request,
    queued,
)
from tests.factories import BACKEND, REQUEST, a_backend, an_exchange

MORE_THAN_A_COMMIT = 520
"""Datastore takes 500 entities at a time."""


class SweepContract:
    """Whatever its state, an exchange goes when nobody waits for it any more, and not a moment earlier."""

    def test_an_empty_store_is_swept(self, store: Store) -> None:
        assert store.sweep(now=NOW) == 0

    def test_what_has_expired_goes_and_what_is_fresh_stays(self, store: Store) -> None:
        queued(store, "old", expires=later(10))
        queued(store, "older", backend_id=OTHER_BACKEND, expires=later(9))
        queued(store, "fresh", expires=later(10.000001))
        assert store.sweep(now=later(10)) == 2
        for backend_id, name in ((BACKEND, "old"), (OTHER_BACKEND, "older")):
            with pytest.raises(UnknownRequest):
                store.read_answer(backend_id, an_exchange(name).request_id, 0)
            with pytest.raises(UnknownRequest):
                store.read_request(backend_id, an_exchange(name).request_id, 0)
        assert everything(part_of_request, store, "fresh") == REQUEST_BYTES
        assert claim(store, now=later(10)) == ["fresh"]

    def test_every_state_is_swept(self, store: Store) -> None:
        queued(store, "offered")
        claim(store)
        queued(store, "queued")
        for name in ("fetched", "answering", "answered", "failed"):
            fetched(store, name, agent_id=name)
        answer(store, 0, b"some", last=False, request_id="answering", agent_id="answering")
        answer(store, 0, b"whole", last=True, request_id="answered", agent_id="answered")
        store.fail_exchange(BACKEND, an_exchange("failed").request_id, agent_id="failed", reason="test")
        assert store.sweep(now=NOW + POLICY.exchange_ttl) == 6
        assert store.sweep(now=NOW + 10 * POLICY.exchange_ttl) == 0

    def test_registrations_stay(self, store: Store) -> None:
        store.put_backend(a_backend())
        store.touch_backend(BACKEND, polled=NOW)
        store.sweep(now=NOW + 1000 * POLICY.exchange_ttl)
        assert store.list_backends() == [a_backend()]
        assert store.get_statuses([BACKEND])[BACKEND].last_polled == NOW

    def test_what_is_being_answered_stays(self, store: Store) -> None:
        fetched(store, expires=later(10))
        answer(store, 0, b"some", last=False, now=later(9))
        assert store.sweep(now=later(11)) == 0
        answer(store, 4, b"more", last=True, now=later(12))
        assert everything(part_of_answer, store) == b"somemore"

    def test_an_id_is_free_after_the_sweep(self, store: Store) -> None:
        queued(store, request=b"old" * 1000, expires=later(10))
        store.sweep(now=later(10))
        queued(store, request=b"new")
        assert everything(part_of_request, store) == b"new"

    def test_large_bodies_are_swept(self, store: Store) -> None:
        fetched(store)
        answer(store, 0, bytes(1_000_000), last=False)
        assert store.sweep(now=later(1000)) == 1
        with pytest.raises(UnknownRequest):
            store.read_answer(BACKEND, REQUEST, 0)

    def test_more_than_a_commit_takes_are_swept(self, store: Store) -> None:
        store.put_backend(a_backend())
        for number in range(MORE_THAN_A_COMMIT):
            old = an_exchange(f"old-{number}", expires=later(1), end_user=f"user-{number}@example.com")
            store.add_exchange(old, REQUEST_BYTES, last=True)
        queued(store, "fresh")
        assert store.sweep(now=later(1)) == MORE_THAN_A_COMMIT
        assert store.sweep(now=later(1)) == 0
        assert claim(store, now=later(1)) == ["fresh"]
        assert everything(part_of_request, store, "fresh") == REQUEST_BYTES
