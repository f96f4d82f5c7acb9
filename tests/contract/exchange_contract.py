"""What holds for the life of an exchange, in every store: queued, offered, fetched, answered, gone."""

from dataclasses import replace
from datetime import timedelta

import pytest

from broker.errors import BrokenAnswer, ClaimedElsewhere, DuplicateRequest, UnknownRequest
from broker.model import Poll, State
from broker.store import Store
from tests.contract.cases import (
    AGENT,
    NOW,
    OTHER_AGENT,
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
from wire.protocol import RequestId

LEASE = POLICY.offer_lease
MOMENT = timedelta(microseconds=1)
TOO_LATE = NOW + POLICY.fetch_wait
UNKNOWN = RequestId("unknown")


class ExchangeContract:
    """Each request is offered to one agent at a time, fetched by one, answered by that one."""

    def test_a_request_comes_back_as_it_went_in(self, store: Store) -> None:
        exchange = queued(
            store, end_user="Ü@example.com", method="PURGE", started=later(0.123456), expires=later(500.000001)
        )
        got = store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=later(1))
        assert got == exchange._replace(
            state=State.FETCHED,
            agent_id=AGENT,
            leased_until=exchange.started + POLICY.response_wait,
            expires=later(500.000001),
        )
        assert got.started.utcoffset() == timedelta()
        assert everything(part_of_request, store) == REQUEST_BYTES

    def test_a_new_exchange_is_read_as_it_went_in(self, store: Store) -> None:
        exchange = queued(store)
        assert store.read_answer(BACKEND, REQUEST, 0).exchange == exchange
        assert part_of_answer(store, 0) is None

    def test_an_id_is_used_once(self, store: Store) -> None:
        queued(store, request=b"first")
        with pytest.raises(DuplicateRequest):
            store.add_exchange(an_exchange(), b"second", last=True)
        assert everything(part_of_request, store) == b"first"

    def test_an_id_is_used_once_whatever_the_backend(self, store: Store) -> None:
        queued(store, request=b"first")
        with pytest.raises(DuplicateRequest):
            store.add_exchange(an_exchange(backend_id=OTHER_BACKEND), b"second", last=True)
        assert claim(store, backend_id=OTHER_BACKEND) == []
        assert everything(part_of_request, store) == b"first"

    def test_the_longest_ids_are_kept(self, store: Store) -> None:
        name = RequestId("!" * 128 + "~" * 128)
        queued(store, name, backend_id="b" * 256)
        assert store.claim_pending(an_exchange(backend_id="b" * 256).backend_id, agent_id=AGENT, now=NOW) == [name]

    def test_unknown_is_an_error(self, store: Store) -> None:
        store.put_backend(a_backend())
        with pytest.raises(UnknownRequest):
            store.read_answer(BACKEND, UNKNOWN, 0)
        with pytest.raises(UnknownRequest):
            store.read_request(BACKEND, UNKNOWN, 0)
        with pytest.raises(UnknownRequest):
            store.append_request(BACKEND, UNKNOWN, 0, b"x", last=True, now=NOW)
        with pytest.raises(UnknownRequest):
            store.append_answer(BACKEND, UNKNOWN, 0, b"x", agent_id=AGENT, last=True, now=NOW)
        with pytest.raises(UnknownRequest):
            store.fetch_exchange(BACKEND, UNKNOWN, agent_id=AGENT, now=NOW)
        with pytest.raises(UnknownRequest):
            store.fail_exchange(BACKEND, UNKNOWN, agent_id=AGENT, reason="test")

    def test_another_backends_exchange_is_unknown(self, store: Store) -> None:
        fetched(store)
        store.put_backend(a_backend(OTHER_BACKEND))
        with pytest.raises(UnknownRequest):
            store.read_answer(OTHER_BACKEND, REQUEST, 0)
        with pytest.raises(UnknownRequest):
            store.read_request(OTHER_BACKEND, REQUEST, 0)
        with pytest.raises(UnknownRequest):
            store.append_request(OTHER_BACKEND, REQUEST, 0, b"x", last=True, now=NOW)
        with pytest.raises(UnknownRequest):
            store.append_answer(OTHER_BACKEND, REQUEST, 0, b"x", agent_id=AGENT, last=True, now=NOW)
        with pytest.raises(UnknownRequest):
            store.fetch_exchange(OTHER_BACKEND, REQUEST, agent_id=AGENT, now=NOW)
        with pytest.raises(UnknownRequest):
            store.fail_exchange(OTHER_BACKEND, REQUEST, agent_id=AGENT, reason="test")
        assert store.read_answer(BACKEND, REQUEST, 0).exchange.state is State.FETCHED

    # Deleting

    def test_a_deleted_exchange_is_unknown(self, store: Store) -> None:
        fetched(store)
        answer(store, 0, b"partly", last=False)
        store.delete_exchange(BACKEND, REQUEST)
        with pytest.raises(UnknownRequest):
            store.read_answer(BACKEND, REQUEST, 0)
        with pytest.raises(UnknownRequest):
            store.read_request(BACKEND, REQUEST, 0)
        with pytest.raises(UnknownRequest):
            answer(store, 6, b"rest", last=True)
        assert claim(store, now=later(1000)) == []

    def test_deleting_what_is_not_there_does_nothing(self, store: Store) -> None:
        store.delete_exchange(BACKEND, UNKNOWN)
        queued(store)
        store.delete_exchange(BACKEND, REQUEST)
        store.delete_exchange(BACKEND, REQUEST)
        assert claim(store) == []

    def test_deleting_another_backends_exchange_does_nothing(self, store: Store) -> None:
        queued(store)
        store.delete_exchange(OTHER_BACKEND, REQUEST)
        assert claim(store) == [REQUEST]

    # Offering

    def test_a_queued_request_is_offered(self, store: Store) -> None:
        queued(store)
        assert claim(store) == [REQUEST]

    def test_a_request_is_offered_before_its_bytes_are_complete(self, store: Store) -> None:
        store.put_backend(a_backend())
        store.add_exchange(an_exchange(), b"PUT", last=False)
        assert claim(store) == [REQUEST]

    def test_a_claim_hides_the_request_until_the_lease_ends(self, store: Store) -> None:
        queued(store)
        claim(store)
        assert claim(store, agent_id=OTHER_AGENT) == []
        assert claim(store) == []
        assert claim(store, agent_id=OTHER_AGENT, now=NOW + LEASE - MOMENT) == []
        assert claim(store, agent_id=OTHER_AGENT, now=NOW + LEASE) == [REQUEST]
        assert claim(store, now=NOW + LEASE) == []

    def test_backends_do_not_see_each_other(self, store: Store) -> None:
        queued(store, "one")
        queued(store, "two", backend_id=OTHER_BACKEND)
        assert claim(store, backend_id=OTHER_BACKEND) == ["two"]
        assert claim(store) == ["one"]

    def test_one_that_wants_to_upgrade_is_for_agents_that_take_upgrades(self, store: Store) -> None:
        queued(store, "upgrade", upgrade="websocket")
        queued(store, "plain", started=later(0.1))
        assert claim(store, now=later(1)) == ["plain"]
        assert store.claim_pending(BACKEND, agent_id=AGENT, now=later(1), takes_upgrades=True) == ["upgrade"]
        got = store.fetch_exchange(BACKEND, RequestId("upgrade"), agent_id=AGENT, now=later(1))
        assert got.upgrade == "websocket"

    def test_one_that_wants_to_upgrade_is_handed_out_to_agents_that_take_upgrades(self, store: Store) -> None:
        queued(store, "upgrade", upgrade="websocket")
        plain = Poll(agent_id=AGENT, poll_id="poll-1", capacity=5)
        assert store.hand_out(BACKEND, plain, now=later(1)) == []
        [handed] = store.hand_out(BACKEND, replace(plain, poll_id="poll-2", takes_upgrades=True), now=later(1))
        assert (handed.exchange.upgrade, handed.request) == ("websocket", REQUEST_BYTES)

    def test_a_backend_without_requests_has_none(self, store: Store) -> None:
        assert claim(store) == []

    def test_the_oldest_are_offered_first(self, store: Store) -> None:
        for second in (1, 2, 3, 4):
            queued(store, f"z{9 - second}", started=later(second))
        assert claim(store, now=later(9)) == ["z8", "z7", "z6", "z5"]

    def test_the_limit_is_kept(self, store: Store) -> None:
        names = [f"r{number * 7919 % 1000:03}" for number in range(POLICY.list_limit + 3)]
        for second, name in enumerate(names):
            queued(store, name, started=later(second / 100))
        assert claim(store, now=later(2)) == names[: POLICY.list_limit]
        assert claim(store, now=later(2)) == names[POLICY.list_limit :]
        assert claim(store, now=later(2)) == []

    def test_expired_requests_are_not_offered_and_hide_none(self, store: Store) -> None:
        for number in range(POLICY.list_limit + 20):
            queued(store, f"expired-{number}", expires=later(1))
        queued(store, "fresh", started=later(1))
        assert claim(store, now=later(1)) == ["fresh"]

    def test_what_no_agent_has_taken_in_time_is_not_offered_and_hides_none(self, store: Store) -> None:
        for number in range(POLICY.list_limit + 20):
            queued(store, f"late-{number}")
        queued(store, "fresh", started=later(1))
        assert claim(store, now=TOO_LATE) == ["fresh"]
        assert len(claim(store, now=TOO_LATE - MOMENT)) == POLICY.list_limit

    def test_offered_requests_hide_none(self, store: Store) -> None:
        for number in range(POLICY.list_limit):
            queued(store, f"offered-{number}")
        assert len(claim(store)) == POLICY.list_limit
        queued(store, "fresh", started=later(1))
        assert claim(store, now=later(1)) == ["fresh"]

    # Fetching

    def test_a_fetched_request_is_not_offered_again(self, store: Store) -> None:
        fetched(store)
        assert claim(store, agent_id=OTHER_AGENT, now=NOW + LEASE) == []
        assert claim(store, agent_id=OTHER_AGENT, now=NOW + POLICY.response_wait) == []

    def test_a_request_may_be_fetched_unlisted(self, store: Store) -> None:
        queued(store)
        assert store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=NOW).state is State.FETCHED
        assert claim(store) == []

    def test_another_agent_cannot_fetch_what_is_fetched(self, store: Store) -> None:
        fetched(store)
        with pytest.raises(ClaimedElsewhere):
            store.fetch_exchange(BACKEND, REQUEST, agent_id=OTHER_AGENT, now=later(1))

    def test_the_first_to_fetch_has_it_whoever_was_offered_it(self, store: Store) -> None:
        queued(store)
        claim(store)
        assert store.fetch_exchange(BACKEND, REQUEST, agent_id=OTHER_AGENT, now=NOW).agent_id == OTHER_AGENT
        with pytest.raises(ClaimedElsewhere):
            store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=NOW)

    def test_an_agent_may_fetch_again_what_it_holds(self, store: Store) -> None:
        exchange = fetched(store)
        assert store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=NOW) == exchange

    def test_agents_without_a_name_cannot_be_told_apart(self, store: Store) -> None:
        fetched(store, agent_id="")
        with pytest.raises(ClaimedElsewhere):
            store.fetch_exchange(BACKEND, REQUEST, agent_id="", now=NOW)

    def test_an_expired_request_is_not_fetched(self, store: Store) -> None:
        queued(store, expires=later(1))
        with pytest.raises(UnknownRequest):
            store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=later(1))

    @pytest.mark.parametrize("offered", [False, True])
    def test_what_no_agent_has_taken_in_time_is_not_fetched(self, store: Store, *, offered: bool) -> None:
        queued(store)
        if offered:
            claim(store, now=TOO_LATE - MOMENT)
        with pytest.raises(UnknownRequest):
            store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=TOO_LATE)
        assert store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=TOO_LATE - MOMENT).state is State.FETCHED
        assert store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=TOO_LATE).state is State.FETCHED

    def test_fetching_keeps_the_exchange_alive(self, store: Store) -> None:
        queued(store, expires=later(2))
        store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=later(1))
        assert store.read_answer(BACKEND, REQUEST, 0).exchange.expires == later(1) + POLICY.exchange_ttl

    # Answering

    def test_an_answer_moves_the_exchange_on(self, store: Store) -> None:
        fetched(store)
        answer(store, 0, b"HTTP/1.1 ", last=False)
        assert store.read_answer(BACKEND, REQUEST, 0).exchange.state is State.ANSWERING
        answer(store, 9, b"200 OK\r\n\r\n", last=True)
        assert store.read_answer(BACKEND, REQUEST, 0).exchange.state is State.ANSWERED
        assert everything(part_of_answer, store) == b"HTTP/1.1 200 OK\r\n\r\n"

    def test_an_answered_request_is_never_offered(self, store: Store) -> None:
        fetched(store)
        answer(store, 0, b"whole", last=True)
        assert claim(store, now=later(10)) == []
        with pytest.raises(ClaimedElsewhere):
            store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=later(1))

    def test_only_the_holder_answers(self, store: Store) -> None:
        fetched(store)
        with pytest.raises(ClaimedElsewhere):
            answer(store, 0, b"forged", last=True, agent_id=OTHER_AGENT)
        assert part_of_answer(store, 0) is None

    @pytest.mark.parametrize("offered", [False, True])
    def test_nobody_answers_what_is_not_fetched(self, store: Store, *, offered: bool) -> None:
        queued(store)
        if offered:
            claim(store)
        with pytest.raises(ClaimedElsewhere):
            answer(store, 0, b"early", last=True)
        assert part_of_answer(store, 0) is None

    def test_answering_keeps_the_exchange_alive(self, store: Store) -> None:
        fetched(store, expires=later(2))
        answer(store, 0, b"some", last=False, now=later(100))
        assert store.read_answer(BACKEND, REQUEST, 0).exchange.expires == later(100) + POLICY.exchange_ttl

    def test_sending_keeps_the_exchange_alive(self, store: Store) -> None:
        store.put_backend(a_backend())
        store.add_exchange(an_exchange(expires=later(2)), b"some", last=False)
        store.append_request(BACKEND, REQUEST, 4, b"more", last=False, now=later(100))
        assert store.read_answer(BACKEND, REQUEST, 0).exchange.expires == later(100) + POLICY.exchange_ttl

    # Failing

    def test_a_failure_is_read(self, store: Store) -> None:
        fetched(store)
        store.fail_exchange(BACKEND, REQUEST, agent_id=AGENT, reason="backend-hung-up")
        exchange = store.read_answer(BACKEND, REQUEST, 0).exchange
        assert (exchange.state, exchange.failure) == (State.FAILED, "backend-hung-up")

    def test_the_bytes_before_a_failure_are_read_and_none_after(self, store: Store) -> None:
        fetched(store)
        answer(store, 0, b"some", last=False)
        store.fail_exchange(BACKEND, REQUEST, agent_id=AGENT, reason="backend-hung-up")
        part = part_of_answer(store, 0)
        assert part is not None
        assert (part.data, part.last) == (b"some", False)
        assert part_of_answer(store, 4) is None

    def test_nothing_is_added_after_a_failure(self, store: Store) -> None:
        fetched(store)
        store.fail_exchange(BACKEND, REQUEST, agent_id=AGENT, reason="backend-hung-up")
        with pytest.raises(BrokenAnswer):
            answer(store, 0, b"late", last=True)
        assert part_of_answer(store, 0) is None

    def test_a_failure_may_be_repeated(self, store: Store) -> None:
        fetched(store)
        for _ in range(2):
            store.fail_exchange(BACKEND, REQUEST, agent_id=AGENT, reason="backend-hung-up")
        assert store.read_answer(BACKEND, REQUEST, 0).exchange.failure == "backend-hung-up"

    def test_only_the_holder_fails(self, store: Store) -> None:
        queued(store)
        with pytest.raises(ClaimedElsewhere):
            store.fail_exchange(BACKEND, REQUEST, agent_id=AGENT, reason="test")
        fetched(store, "request-2")
        with pytest.raises(ClaimedElsewhere):
            store.fail_exchange(BACKEND, RequestId("request-2"), agent_id=OTHER_AGENT, reason="test")
        assert store.read_answer(BACKEND, RequestId("request-2"), 0).exchange.state is State.FETCHED

    def test_a_whole_answer_does_not_fail(self, store: Store) -> None:
        fetched(store)
        answer(store, 0, b"whole", last=True)
        with pytest.raises(ClaimedElsewhere):
            store.fail_exchange(BACKEND, REQUEST, agent_id=AGENT, reason="test")
        assert everything(part_of_answer, store) == b"whole"

    # An agent that goes

    def test_what_a_gone_agent_was_offered_is_queued_again(self, store: Store) -> None:
        queued(store, method="POST")
        claim(store)
        store.release_agent(BACKEND, agent_id=AGENT)
        assert claim(store, agent_id=OTHER_AGENT) == [REQUEST]

    def test_what_may_be_repeated_is_queued_again(self, store: Store) -> None:
        fetched(store, method="GET")
        store.release_agent(BACKEND, agent_id=AGENT)
        assert claim(store, agent_id=OTHER_AGENT) == [REQUEST]
        store.fetch_exchange(BACKEND, REQUEST, agent_id=OTHER_AGENT, now=NOW)
        with pytest.raises(ClaimedElsewhere):
            answer(store, 0, b"from the grave", last=True)
        assert everything(part_of_request, store) == REQUEST_BYTES

    def test_what_may_not_be_repeated_fails(self, store: Store) -> None:
        fetched(store, method="POST")
        store.release_agent(BACKEND, agent_id=AGENT)
        exchange = store.read_answer(BACKEND, REQUEST, 0).exchange
        assert (exchange.state, exchange.failure) == (State.FAILED, "agent-lost")
        assert claim(store, now=later(100)) == []

    def test_what_was_answered_in_part_fails(self, store: Store) -> None:
        fetched(store, method="GET")
        answer(store, 0, b"some", last=False)
        store.release_agent(BACKEND, agent_id=AGENT)
        assert store.read_answer(BACKEND, REQUEST, 0).exchange.state is State.FAILED

    def test_what_others_hold_stays(self, store: Store) -> None:
        fetched(store, "theirs", agent_id=OTHER_AGENT)
        queued(store, "elsewhere", backend_id=OTHER_BACKEND)
        claim(store, backend_id=OTHER_BACKEND)
        fetched(store, "whole")
        answer(store, 0, b"whole", last=True, request_id="whole")
        store.release_agent(BACKEND, agent_id=AGENT)
        assert store.read_answer(BACKEND, RequestId("theirs"), 0).exchange.state is State.FETCHED
        assert store.read_answer(OTHER_BACKEND, RequestId("elsewhere"), 0).exchange.state is State.OFFERED
        assert store.read_answer(BACKEND, RequestId("whole"), 0).exchange.state is State.ANSWERED

    def test_what_an_agent_was_offered_is_listed_again_when_it_asks_no_more(self, store: Store) -> None:
        queued(store, "first", method="POST")
        queued(store, "second")
        claim(store)
        store.release_offers(BACKEND, agent_id=AGENT)
        assert claim(store, agent_id=OTHER_AGENT) == ["first", "second"]
        store.release_offers(BACKEND, agent_id=AGENT)
        assert claim(store) == []

    def test_what_an_agent_has_fetched_stays_with_it_when_it_asks_no_more(self, store: Store) -> None:
        fetched(store, method="GET")
        queued(store, "elsewhere", backend_id=OTHER_BACKEND)
        claim(store, backend_id=OTHER_BACKEND)
        store.release_offers(BACKEND, agent_id=AGENT)
        assert answer(store, 0, b"whole", last=True) == 5
        assert store.read_answer(OTHER_BACKEND, RequestId("elsewhere"), 0).exchange.state is State.OFFERED

    def test_an_agent_that_asks_no_more_may_still_fetch_what_it_was_offered(self, store: Store) -> None:
        queued(store)
        claim(store)
        store.release_offers(BACKEND, agent_id=AGENT)
        assert store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=NOW).state is State.FETCHED

    def test_releasing_an_agent_that_holds_nothing_does_nothing(self, store: Store) -> None:
        queued(store)
        store.release_agent(BACKEND, agent_id=AGENT)
        store.release_agent(OTHER_BACKEND, agent_id=AGENT)
        assert claim(store) == [REQUEST]
