"""The rules of an exchange: every state, every move, and bytes that are sent again."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BrokenAnswer, BrokerError, ClaimedElsewhere, ConflictingBytes, UnknownRequest
from broker.exchange import (
    TRANSITIONS,
    Move,
    answer,
    fail,
    fetch,
    fresh_bytes,
    hand_out,
    has_lapsed,
    is_claimable,
    is_expired,
    is_held_by,
    is_in_hands,
    is_lost,
    is_taken,
    offer,
    release,
    require_end,
    require_holder,
    take_back,
)
from broker.model import Exchange, LostPolls, Poll, State
from broker.policy import Policy
from tests.factories import REQUEST, an_exchange, seconds
from tests.fakes.clock import NOON
from wire.protocol import IDEMPOTENT_METHODS, RequestId

POLICY = Policy()
AGENT = "agent-1"
POLL = Poll(agent_id=AGENT, poll_id="poll-1", capacity=1)

Rule = Callable[[Exchange], Exchange]

RULES: dict[Move, Rule] = {
    Move.OFFER: lambda exchange: offer(exchange, agent_id=AGENT, now=NOON, policy=POLICY),
    Move.FETCH: lambda exchange: fetch(exchange, agent_id=AGENT, now=NOON, policy=POLICY),
    Move.ANSWER: lambda exchange: answer(exchange, agent_id=AGENT, last=False, now=NOON, policy=POLICY),
    Move.FINISH: lambda exchange: answer(exchange, agent_id=AGENT, last=True, now=NOON, policy=POLICY),
    Move.FAIL: lambda exchange: fail(exchange, agent_id=AGENT, reason="broken"),
    Move.RELEASE: lambda exchange: release(exchange, can_be_read_again=True),
}


def held(state: State, **changes: Any) -> Exchange:
    """An exchange in a state, in the hands of the agent where the state is one of those."""
    return an_exchange(state=state, agent_id="" if state is State.QUEUED else AGENT, **changes)


@pytest.mark.parametrize("move", Move)
@pytest.mark.parametrize("state", State)
def test_a_rule_moves_an_exchange_as_the_table_says_and_no_other_way(state: State, move: Move) -> None:
    expected = TRANSITIONS.get((state, move))
    exchange = held(state)

    if move is Move.RELEASE and expected is None:
        assert RULES[move](exchange).state is {State.ANSWERING: State.FAILED}.get(state, state)
    elif expected is None:
        with pytest.raises(BrokerError):
            RULES[move](exchange)
    else:
        assert RULES[move](exchange).state is expected


@pytest.mark.parametrize(
    ("state", "move", "text"),
    [
        (State.FETCHED, Move.OFFER, "an exchange that is fetched has no move 'offer'"),
        (State.ANSWERING, Move.FETCH, "an exchange that is answering has no move 'fetch'"),
        (State.ANSWERED, Move.FETCH, "an exchange that is answered has no move 'fetch'"),
        (State.FAILED, Move.FETCH, "an exchange that is failed has no move 'fetch'"),
        (State.ANSWERED, Move.FAIL, "an exchange that is answered has no move 'fail'"),
        (State.QUEUED, Move.ANSWER, "this exchange is not in the hands of this agent"),
        (State.OFFERED, Move.ANSWER, "this exchange is not in the hands of this agent"),
        (State.OFFERED, Move.FAIL, "this exchange is not in the hands of this agent"),
    ],
)
def test_a_move_that_there_is_not_is_refused_with_a_reason(state: State, move: Move, text: str) -> None:
    with pytest.raises(ClaimedElsewhere) as caught:
        RULES[move](held(state))

    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("state", "leased_until", "claimable"),
    [
        (State.QUEUED, None, True),
        (State.OFFERED, None, True),
        (State.OFFERED, NOON + seconds(1), False),
        (State.OFFERED, NOON, True),
        (State.FETCHED, NOON - seconds(1), False),
        (State.ANSWERING, None, False),
        (State.ANSWERED, None, False),
        (State.FAILED, None, False),
    ],
)
def test_a_poll_lists_what_is_queued_or_offered_too_long_ago(
    state: State, leased_until: object, claimable: bool
) -> None:
    exchange = an_exchange(state=state, leased_until=leased_until)

    assert is_claimable(exchange, NOON, policy=POLICY) == claimable
    assert not is_claimable(exchange._replace(expires=NOON), NOON, policy=POLICY)


def test_one_that_wants_to_upgrade_is_listed_only_to_those_who_take_upgrades() -> None:
    exchange = an_exchange(upgrade="websocket")

    assert not is_claimable(exchange, NOON, policy=POLICY)
    assert is_claimable(exchange, NOON, policy=POLICY, takes_upgrades=True)
    assert not is_claimable(exchange._replace(expires=NOON), NOON, policy=POLICY, takes_upgrades=True)


@pytest.mark.parametrize("state", [State.QUEUED, State.OFFERED])
def test_what_nobody_has_taken_is_for_no_agent_when_its_user_is_told_so(state: State) -> None:
    exchange, too_late = held(state), NOON + POLICY.fetch_wait
    in_time = too_late - timedelta(microseconds=1)

    assert is_claimable(exchange, in_time, policy=POLICY)
    assert not is_claimable(exchange, too_late, policy=POLICY)
    assert fetch(exchange, agent_id=AGENT, now=in_time, policy=POLICY).state is State.FETCHED
    with pytest.raises(UnknownRequest):
        fetch(exchange, agent_id=AGENT, now=too_late, policy=POLICY)


def test_what_an_agent_has_taken_it_may_fetch_again_as_long_as_somebody_waits() -> None:
    taken = fetch(an_exchange(), agent_id=AGENT, now=NOON, policy=POLICY)

    assert fetch(taken, agent_id=AGENT, now=NOON + seconds(29), policy=POLICY).state is State.FETCHED
    with pytest.raises(UnknownRequest):
        fetch(taken, agent_id=AGENT, now=taken.expires, policy=POLICY)


def test_what_is_taken_back_has_the_time_that_it_had() -> None:
    taken = fetch(an_exchange(), agent_id=AGENT, now=NOON, policy=POLICY, poll_id="poll-1")

    assert is_claimable(take_back(taken), NOON + seconds(14.9), policy=POLICY)
    assert not is_claimable(take_back(taken), NOON + seconds(15), policy=POLICY)


@pytest.mark.parametrize(("expires", "expired"), [(-1, True), (0, True), (1, False)])
def test_an_exchange_expires_at_its_time(expires: float, expired: bool) -> None:
    assert is_expired(an_exchange(expires=NOON + seconds(expires)), NOON) == expired


@pytest.mark.parametrize("state", State)
def test_an_exchange_is_taken_once_it_was_fetched(state: State) -> None:
    assert is_taken(an_exchange(state=state)) == (state not in (State.QUEUED, State.OFFERED))


@pytest.mark.parametrize("state", State)
def test_an_agent_holds_what_it_was_offered_until_it_has_answered(state: State) -> None:
    exchange = an_exchange(state=state, agent_id=AGENT)

    assert is_held_by(exchange, AGENT) == (state in (State.OFFERED, State.FETCHED, State.ANSWERING))
    assert not is_held_by(exchange, "agent-2")


def test_an_offer_names_the_agent_and_lasts_as_long_as_its_lease() -> None:
    offered = offer(an_exchange(), agent_id=AGENT, now=NOON, policy=POLICY)

    assert (offered.agent_id, offered.leased_until) == (AGENT, NOON + seconds(5))
    assert not is_claimable(offered, NOON + seconds(4.9), policy=POLICY)
    assert is_claimable(offered, NOON + seconds(5), policy=POLICY)


def test_a_fetch_lasts_until_the_answer_is_due_and_keeps_the_exchange() -> None:
    late = NOON + seconds(14)

    fetched = fetch(an_exchange(), agent_id=AGENT, now=late, policy=POLICY)

    assert (fetched.agent_id, fetched.leased_until) == (AGENT, NOON + seconds(30))
    assert fetched.expires == late + POLICY.exchange_ttl


def test_who_fetches_first_has_it_whoever_it_was_offered_to() -> None:
    offered = offer(an_exchange(), agent_id="agent-2", now=NOON, policy=POLICY)

    assert fetch(offered, agent_id=AGENT, now=NOON, policy=POLICY).agent_id == AGENT


def test_an_agent_may_fetch_again_what_it_holds() -> None:
    fetched = RULES[Move.FETCH](an_exchange())

    assert RULES[Move.FETCH](fetched) == fetched


@pytest.mark.parametrize(("holder", "asker"), [("agent-1", "agent-2"), ("agent-1", ""), ("", "agent-1"), ("", "")])
def test_nobody_else_may_and_no_agent_without_a_name(holder: str, asker: str) -> None:
    fetched = fetch(an_exchange(), agent_id=holder, now=NOON, policy=POLICY)

    with pytest.raises(ClaimedElsewhere, match="^another agent has fetched this request$"):
        fetch(fetched, agent_id=asker, now=NOON, policy=POLICY)


@pytest.mark.parametrize("last", [False, True])
def test_every_part_of_an_answer_keeps_the_exchange(last: bool) -> None:
    late = NOON + seconds(29)

    answered = answer(held(State.FETCHED), agent_id=AGENT, last=last, now=late, policy=POLICY)

    assert answered.expires == late + POLICY.exchange_ttl


@pytest.mark.parametrize("rule", [Move.FETCH, Move.ANSWER])
def test_time_that_an_exchange_has_is_never_shortened(rule: Move) -> None:
    distant = NOON + timedelta(hours=1)

    assert RULES[rule](held(State.FETCHED, expires=distant)).expires == distant


@pytest.mark.parametrize("last", [False, True])
def test_a_part_repeated_behind_the_end_changes_nothing(last: bool) -> None:
    answered = held(State.ANSWERED)

    assert answer(answered, agent_id=AGENT, last=last, now=NOON + seconds(60), policy=POLICY) == answered


@pytest.mark.parametrize("state", [State.FETCHED, State.ANSWERING, State.ANSWERED])
def test_only_the_agent_that_holds_an_exchange_answers_it(state: State) -> None:
    with pytest.raises(ClaimedElsewhere, match="^this exchange is not in the hands of this agent$"):
        answer(held(state), agent_id="agent-2", last=True, now=NOON, policy=POLICY)


def test_an_answer_that_has_failed_is_not_continued() -> None:
    with pytest.raises(BrokenAnswer, match="^this exchange has failed already$"):
        RULES[Move.ANSWER](held(State.FAILED))


def test_the_first_reason_of_a_failure_stays() -> None:
    failed = fail(held(State.ANSWERING), agent_id=AGENT, reason="backend-broke")

    assert fail(failed, agent_id=AGENT, reason="timeout").failure == "backend-broke"


@pytest.mark.parametrize("agent_id", ["agent-2", ""])
def test_only_the_agent_that_holds_an_exchange_fails_it(agent_id: str) -> None:
    with pytest.raises(ClaimedElsewhere):
        fail(held(State.FETCHED), agent_id=agent_id, reason="broken")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"])
def test_what_may_be_repeated_goes_back_into_the_queue(method: str) -> None:
    released = release(held(State.FETCHED, method=method, leased_until=NOON + seconds(30)), can_be_read_again=True)

    assert released == an_exchange(method=method)
    assert is_claimable(released, NOON, policy=POLICY)


@pytest.mark.parametrize("method", ["POST", "PATCH", "get", "PROPFIND", "PURGE"])
def test_what_may_not_be_repeated_fails(method: str) -> None:
    released = release(held(State.FETCHED, method=method), can_be_read_again=True)

    assert method not in IDEMPOTENT_METHODS
    assert (released.state, released.failure) == (State.FAILED, "agent-lost")


def test_what_no_agent_can_read_again_fails() -> None:
    released = release(held(State.FETCHED, method="PUT"), can_be_read_again=False)

    assert (released.state, released.failure) == (State.FAILED, "agent-lost")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_was_only_offered_goes_back_whatever_its_method(method: str) -> None:
    assert release(held(State.OFFERED, method=method), can_be_read_again=True) == an_exchange(method=method)


def test_what_has_begun_to_be_answered_fails_whatever_its_method() -> None:
    assert release(held(State.ANSWERING, method="GET"), can_be_read_again=True).failure == "agent-lost"


@pytest.mark.parametrize("state", [State.QUEUED, State.ANSWERED, State.FAILED])
def test_what_no_agent_works_on_stays_as_it_is(state: State) -> None:
    assert release(held(state), can_be_read_again=True) == held(state)


def test_a_poll_takes_a_whole_request_at_once_and_is_remembered() -> None:
    handed = hand_out(an_exchange(), POLL, now=NOON, policy=POLICY, is_whole=True)

    assert handed == fetch(an_exchange(), agent_id=AGENT, now=NOON, policy=POLICY)._replace(poll_id="poll-1")


def test_a_poll_is_offered_a_request_that_is_not_whole_and_is_remembered() -> None:
    handed = hand_out(an_exchange(), POLL, now=NOON, policy=POLICY, is_whole=False)

    assert handed == offer(an_exchange(), agent_id=AGENT, now=NOON, policy=POLICY)._replace(poll_id="poll-1")


@pytest.mark.parametrize("is_whole", [False, True])
def test_what_was_handed_out_and_is_fetched_by_name_has_arrived(*, is_whole: bool) -> None:
    handed = hand_out(an_exchange(), POLL, now=NOON, policy=POLICY, is_whole=is_whole)

    assert fetch(handed, agent_id=AGENT, now=NOON, policy=POLICY).poll_id == ""


@pytest.mark.parametrize(
    ("state", "agent_id", "lost", "expected"),
    [
        (State.FETCHED, AGENT, LostPolls(frozenset({"poll-0", "poll-1"})), True),
        (State.OFFERED, AGENT, LostPolls(frozenset({"poll-1"})), True),
        (State.FETCHED, AGENT, LostPolls(frozenset({"poll-1"}), frozenset({RequestId("other")})), True),
        (State.FETCHED, AGENT, LostPolls(frozenset({"poll-1"}), frozenset({REQUEST})), False),
        (State.FETCHED, AGENT, LostPolls(frozenset({"poll-2"})), False),
        (State.FETCHED, AGENT, LostPolls(), False),
        (State.FETCHED, "agent-2", LostPolls(frozenset({"poll-1"})), False),
        (State.ANSWERING, AGENT, LostPolls(frozenset({"poll-1"})), False),
        (State.ANSWERED, AGENT, LostPolls(frozenset({"poll-1"})), False),
        (State.FAILED, AGENT, LostPolls(frozenset({"poll-1"})), False),
    ],
)
def test_lost_is_what_its_agent_was_handed_out_and_has_not_received(
    state: State, agent_id: str, lost: LostPolls, expected: bool
) -> None:
    assert is_lost(held(state, poll_id="poll-1"), agent_id, lost) is expected


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("is_whole", [False, True])
def test_what_was_lost_is_queued_again_whatever_its_method(method: str, *, is_whole: bool) -> None:
    queued = an_exchange(method=method)
    handed = hand_out(queued, POLL, now=NOON, policy=POLICY, is_whole=is_whole)

    assert take_back(handed) == queued


def test_what_is_queued_again_has_forgotten_its_poll() -> None:
    handed = hand_out(an_exchange(), POLL, now=NOON, policy=POLICY, is_whole=True)

    assert release(handed, can_be_read_again=True) == an_exchange()


@pytest.mark.parametrize("state", [State.QUEUED, State.OFFERED])
def test_nobody_holds_what_was_not_fetched(state: State) -> None:
    with pytest.raises(ClaimedElsewhere, match="^this exchange is not in the hands of this agent$"):
        require_holder(an_exchange(state=state, agent_id=AGENT), AGENT)


@pytest.mark.parametrize(
    ("offset", "data", "starts_at", "fresh"),
    [
        (0, b"", 0, b""),
        (0, b"abcdef", 0, b""),
        (2, b"cd", 0, b""),
        (6, b"gh", 0, b"gh"),
        (4, b"efgh", 0, b"gh"),
        (0, b"abcdefgh", 0, b"gh"),
        (14, b"efgh", 10, b"gh"),
        (16, b"", 10, b""),
    ],
)
def test_of_bytes_sent_again_only_the_new_ones_are_fresh(
    offset: int, data: bytes, starts_at: int, fresh: bytes
) -> None:
    assert fresh_bytes(b"abcdef", offset, data, starts_at=starts_at) == fresh


@pytest.mark.parametrize(
    ("offset", "data", "starts_at", "text"),
    [
        (7, b"h", 0, "a gap: bytes at 7, stored up to 6"),
        (7, b"", 0, "a gap: bytes at 7, stored up to 6"),
        (4, b"eX", 0, "bytes at 4 differ from the stored ones"),
        (0, b"Xbcdefgh", 0, "bytes at 0 differ from the stored ones"),
        (9, b"", 10, "bytes at 9 cannot be compared any more: kept from 10"),
        (9, b"9abcdef", 10, "bytes at 9 cannot be compared any more: kept from 10"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(offset: int, data: bytes, starts_at: int, text: str) -> None:
    with pytest.raises(ConflictingBytes) as caught:
        fresh_bytes(b"abcdef", offset, data, starts_at=starts_at)

    assert str(caught.value) == text


@given(data=st.data(), body=st.binary(max_size=60))
def test_however_often_a_body_is_sent_again_and_cut_it_is_stored_once(data: st.DataObject, body: bytes) -> None:
    stored = bytearray()
    for _ in range(data.draw(st.integers(0, 12))):
        offset = data.draw(st.integers(0, len(body)))
        piece = body[offset : data.draw(st.integers(offset, len(body)))]
        if offset <= len(stored):
            stored += fresh_bytes(stored, offset, piece)
        else:
            with pytest.raises(ConflictingBytes):
                fresh_bytes(stored, offset, piece)

    assert body.startswith(stored)


@given(data=st.data(), bodies=st.lists(st.text("ab", min_size=1, max_size=12).map(str.encode), min_size=1, max_size=4))
def test_attempts_of_different_bodies_are_never_spliced_however_they_are_cut(
    data: st.DataObject, bodies: list[bytes]
) -> None:
    kept, starts_at, whole = bytearray(), 0, b""
    for _ in range(data.draw(st.integers(1, 8))):
        body, offset = data.draw(st.sampled_from(bodies)), 0
        while offset < len(body):
            piece = body[offset : offset + data.draw(st.integers(1, len(body)))]
            try:
                fresh = fresh_bytes(kept, offset, piece, starts_at=starts_at)
            except ConflictingBytes:
                break
            kept, whole, offset = kept + fresh, whole + fresh, offset + len(piece)
        if data.draw(st.booleans()):
            forgotten = data.draw(st.integers(0, len(kept)))
            kept, starts_at = kept[forgotten:], starts_at + forgotten

        assert any(body.startswith(whole) for body in bodies)


@pytest.mark.parametrize(
    ("stored_end", "is_ended", "end", "last"),
    [(5, False, 9, False), (5, False, 9, True), (5, False, 5, True), (5, True, 5, True), (5, True, 3, False)],
)
def test_a_stream_ends_where_its_bytes_end(stored_end: int, is_ended: bool, end: int, last: bool) -> None:
    require_end(stored_end=stored_end, is_ended=is_ended, end=end, last=last)


@pytest.mark.parametrize(
    ("is_ended", "end", "last", "text"),
    [
        (True, 6, False, "bytes up to 6 behind the end at 5"),
        (True, 6, True, "bytes up to 6 behind the end at 5"),
        (False, 4, True, "an end at 4 before the stored end at 5"),
        (True, 4, True, "an end at 4 before the stored end at 5"),
    ],
)
def test_an_end_does_not_move(is_ended: bool, end: int, last: bool, text: str) -> None:
    with pytest.raises(ConflictingBytes) as caught:
        require_end(stored_end=5, is_ended=is_ended, end=end, last=last)

    assert str(caught.value) == text


@pytest.mark.parametrize("state", State)
def test_an_exchange_is_in_hands_while_an_agent_works_on_it(state: State) -> None:
    assert is_in_hands(an_exchange(state=state)) == (state in (State.FETCHED, State.ANSWERING))


@pytest.mark.parametrize(
    ("state", "second", "lapsed"),
    [(State.OFFERED, 4.9, False), (State.OFFERED, 5, True), (State.FETCHED, 9, False), (State.QUEUED, 9, False)],
)
def test_an_offer_lapses_with_its_lease(state: State, second: float, lapsed: bool) -> None:
    exchange = an_exchange(state=state, leased_until=NOON + seconds(5))

    assert has_lapsed(exchange, NOON + seconds(second)) == lapsed
    assert not has_lapsed(an_exchange(state=state), NOON + seconds(second))
