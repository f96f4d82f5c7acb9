"""What holds in every store when requests are handed out in batches (version 2), and when such a batch is lost."""

from datetime import timedelta

import pytest

from broker.errors import ClaimedElsewhere, UnknownRequest
from broker.model import State
from broker.store import Store
from tests.contract.cases import (
    AGENT,
    NOW,
    OTHER_AGENT,
    OTHER_BACKEND,
    POLICY,
    REQUEST_BYTES,
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
from wire.protocol import MAX_ENTRY_BYTES, RequestId

LEASE = POLICY.offer_lease
MOMENT = timedelta(microseconds=1)
OTHERS_POLL = a_poll("poll-other", agent_id=OTHER_AGENT)


class HandoutContract:
    """`hand_out` and `take_back`."""

    def test_a_poll_brings_requests_with_their_bytes(self, store: Store) -> None:
        exchange = queued(store)
        (handed,) = hand_out(store)
        assert handed.request == REQUEST_BYTES
        assert (handed.exchange.request_id, handed.exchange.end_user) == (REQUEST, exchange.end_user)
        assert (handed.exchange.state, handed.exchange.agent_id) == (State.FETCHED, AGENT)

    def test_what_is_handed_out_is_that_agents_until_its_answer_is_due(self, store: Store) -> None:
        queued(store)
        hand_out(store)
        assert hand_out(store, OTHERS_POLL, now=NOW + LEASE) == []
        assert claim(store, agent_id=OTHER_AGENT, now=NOW + POLICY.response_wait) == []
        with pytest.raises(ClaimedElsewhere):
            store.fetch_exchange(BACKEND, REQUEST, agent_id=OTHER_AGENT, now=NOW)
        answer(store, 0, b"whole", last=True)
        assert everything(part_of_answer, store) == b"whole"

    def test_handing_out_keeps_the_exchange_alive(self, store: Store) -> None:
        queued(store, expires=later(2))
        hand_out(store, now=later(1))
        assert store.read_answer(BACKEND, REQUEST, 0).exchange.expires == later(1) + POLICY.exchange_ttl

    def test_the_oldest_go_first_and_no_more_than_the_agent_can_begin(self, store: Store) -> None:
        for second in (1, 2, 3, 4):
            queued(store, f"z{9 - second}", started=later(second))
        assert handed_ids(store, a_poll("p1", capacity=3), now=later(9)) == ["z8", "z7", "z6"]
        assert handed_ids(store, a_poll("p2", capacity=3), now=later(9)) == ["z5"]

    def test_a_batch_has_a_limit_of_its_own(self, store: Store) -> None:
        for number in range(POLICY.list_limit + 1):
            queued(store, f"r{number:03}", started=later(number / 100))
        assert len(handed_ids(store, a_poll(capacity=999), now=later(2))) == POLICY.list_limit
        assert handed_ids(store, a_poll(capacity=999), now=later(2)) == [f"r{POLICY.list_limit}"]

    def test_backends_do_not_see_each_other(self, store: Store) -> None:
        queued(store, "one")
        queued(store, "two", backend_id=OTHER_BACKEND)
        assert [each.exchange.request_id for each in hand_out(store, backend_id=OTHER_BACKEND)] == ["two"]
        assert handed_ids(store) == ["one"]

    def test_a_backend_without_requests_has_none_to_hand_out(self, store: Store) -> None:
        assert hand_out(store) == []

    def test_expired_and_offered_requests_are_not_handed_out_and_hide_none(self, store: Store) -> None:
        for number in range(30):
            queued(store, f"expired-{number}", expires=later(1))
        queued(store, "offered")
        store.claim_pending(BACKEND, agent_id=OTHER_AGENT, now=NOW)
        queued(store, "fresh", started=later(1))
        assert handed_ids(store, a_poll(capacity=1), now=later(1)) == ["fresh"]

    def test_what_no_agent_has_taken_in_time_is_not_handed_out_and_hides_none(self, store: Store) -> None:
        for number in range(30):
            queued(store, f"late-{number}")
        queued(store, "fresh", started=later(1))
        assert handed_ids(store, a_poll(capacity=1), now=NOW + POLICY.fetch_wait) == ["fresh"]

    def test_what_another_agent_let_lapse_is_handed_out(self, store: Store) -> None:
        queued(store)
        claim(store, agent_id=OTHER_AGENT)
        assert handed_ids(store, now=NOW + LEASE) == [REQUEST]

    # What is not for a batch

    def test_a_request_that_is_not_whole_is_offered(self, store: Store) -> None:
        store.put_backend(a_backend())
        store.add_exchange(an_exchange(), b"POST", last=False)
        (handed,) = hand_out(store)
        assert (handed.request, handed.exchange.state) == (None, State.OFFERED)
        assert hand_out(store, OTHERS_POLL) == []
        assert store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=NOW).state is State.FETCHED

    def test_what_is_offered_so_and_not_fetched_is_for_others_after_the_lease(self, store: Store) -> None:
        store.put_backend(a_backend())
        store.add_exchange(an_exchange(), b"POST", last=False)
        hand_out(store)
        assert handed_ids(store, OTHERS_POLL, now=NOW + LEASE) == [REQUEST]

    def test_a_request_as_long_as_the_limit_is_handed_out(self, store: Store) -> None:
        longest = bytes(MAX_ENTRY_BYTES)
        queued(store, request=longest)
        assert hand_out(store)[0].request == longest

    def test_what_does_not_fit_any_more_is_for_the_next_poll(self, store: Store) -> None:
        for number in range(9):
            queued(store, f"r{number}", bytes(MAX_ENTRY_BYTES), started=later(number / 10))
        polled = [handed_ids(store, a_poll(f"p{number}"), now=later(10)) for number in range(9)]
        assert [name for names in polled for name in names] == [f"r{number}" for number in range(9)]
        assert max(len(names) for names in polled) <= 8
        assert len(polled[0]) >= 3

    # Polls that are lost

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_what_has_not_arrived_is_queued_again_whatever_its_method(self, store: Store, method: str) -> None:
        queued(store, method=method)
        hand_out(store)
        lose(store, "poll-1")
        (handed,) = hand_out(store, OTHERS_POLL)
        assert (handed.request, handed.exchange.agent_id) == (REQUEST_BYTES, OTHER_AGENT)
        with pytest.raises(ClaimedElsewhere):
            answer(store, 0, b"from the grave", last=True)

    def test_what_has_not_arrived_has_the_time_that_it_had(self, store: Store) -> None:
        queued(store)
        hand_out(store)
        lose(store, "poll-1")
        assert hand_out(store, OTHERS_POLL, now=NOW + POLICY.fetch_wait) == []
        assert handed_ids(store, OTHERS_POLL, now=NOW + POLICY.fetch_wait - MOMENT) == [REQUEST]

    def test_it_comes_before_all_others_in_its_old_order(self, store: Store) -> None:
        for second in range(3):
            queued(store, f"old-{second}", started=later(second))
        hand_out(store, now=later(5))
        queued(store, "new", started=later(4))
        lose(store, "poll-1")
        assert handed_ids(store, OTHERS_POLL, now=later(5)) == ["old-0", "old-1", "old-2", "new"]

    def test_what_has_arrived_stays_with_its_agent(self, store: Store) -> None:
        queued(store, "received")
        queued(store, "lost", started=later(1))
        hand_out(store, now=later(1))
        lose(store, "poll-1", received=("received",))
        assert handed_ids(store, OTHERS_POLL, now=later(1)) == ["lost"]
        assert answer(store, 0, b"whole", last=True, request_id="received") == 5

    def test_what_has_begun_to_be_answered_stays_with_its_agent(self, store: Store) -> None:
        queued(store, "some")
        queued(store, "whole", started=later(1))
        hand_out(store, now=later(1))
        answer(store, 0, b"some", last=False, request_id="some")
        answer(store, 0, b"whole", last=True, request_id="whole")
        lose(store, "poll-1")
        assert hand_out(store, OTHERS_POLL, now=later(2)) == []
        assert everything(part_of_answer, store, "whole") == b"whole"

    def test_what_came_in_other_polls_or_went_to_others_stays(self, store: Store) -> None:
        queued(store, "mine")
        hand_out(store, a_poll("poll-2"))
        queued(store, "theirs")
        hand_out(store, a_poll("poll-1", agent_id=OTHER_AGENT))
        lose(store, "poll-1")
        lose(store, "poll-1", "poll-2", backend_id=OTHER_BACKEND)
        assert hand_out(store, a_poll("poll-3")) == []

    def test_what_an_agent_has_fetched_by_name_stays_with_it(self, store: Store) -> None:
        queued(store)
        hand_out(store)
        store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=NOW)
        lose(store, "poll-1")
        assert hand_out(store, OTHERS_POLL) == []

    def test_what_was_only_offered_in_a_lost_poll_is_queued_again(self, store: Store) -> None:
        store.put_backend(a_backend())
        store.add_exchange(an_exchange(method="POST"), b"POST", last=False)
        hand_out(store)
        lose(store, "poll-1")
        assert handed_ids(store, OTHERS_POLL) == [REQUEST]

    def test_a_poll_may_be_named_again_and_takes_nothing_back_that_was_handed_out_since(self, store: Store) -> None:
        queued(store)
        hand_out(store)
        lose(store, "poll-1")
        assert handed_ids(store, a_poll("poll-2")) == [REQUEST]
        lose(store, "poll-1")
        assert hand_out(store, OTHERS_POLL) == []

    def test_nothing_is_handed_out_any_more_in_a_lost_poll(self, store: Store) -> None:
        lose(store, "poll-1")
        queued(store)
        assert hand_out(store) == []
        assert handed_ids(store, a_poll("poll-1", agent_id=OTHER_AGENT)) == [REQUEST]

    def test_a_lost_poll_is_forgotten_in_the_end(self, store: Store) -> None:
        lose(store, "poll-1")
        store.sweep(now=NOW + POLICY.list_wait)
        queued(store)
        assert hand_out(store) == []
        store.sweep(now=NOW + POLICY.exchange_ttl)
        queued(store, "fresh", started=NOW + POLICY.exchange_ttl, expires=NOW + 2 * POLICY.exchange_ttl)
        assert handed_ids(store, now=NOW + POLICY.exchange_ttl) == ["fresh"]

    # An agent that goes, and a user

    def test_what_a_gone_agent_was_handed_out_is_queued_again_if_it_may_be_repeated(self, store: Store) -> None:
        queued(store, "get", method="GET")
        queued(store, "post", method="POST", started=later(1))
        hand_out(store, now=later(1))
        store.release_agent(BACKEND, agent_id=AGENT)
        assert handed_ids(store, OTHERS_POLL, now=later(1)) == ["get"]
        assert store.read_answer(BACKEND, RequestId("post"), 0).exchange.failure == "agent-lost"

    def test_what_was_handed_out_stays_with_an_agent_that_asks_no_more(self, store: Store) -> None:
        queued(store)
        hand_out(store)
        store.release_offers(BACKEND, agent_id=AGENT)
        assert hand_out(store, OTHERS_POLL) == []

    def test_what_its_user_has_given_up_is_not_handed_out(self, store: Store) -> None:
        queued(store)
        store.delete_exchange(BACKEND, REQUEST)
        assert hand_out(store) == []
        queued(store)
        hand_out(store)
        store.delete_exchange(BACKEND, REQUEST)
        lose(store, "poll-1")
        with pytest.raises(UnknownRequest):
            answer(store, 0, b"late", last=True)

    def test_what_was_handed_out_may_be_read_again_by_its_agent(self, store: Store) -> None:
        fetched(store, "other", agent_id=OTHER_AGENT)
        queued(store)
        hand_out(store)
        assert store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=NOW).state is State.FETCHED
        assert everything(part_of_request, store) == REQUEST_BYTES
