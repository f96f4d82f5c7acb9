from dataclasses import replace

from broker.waiting import ExchangeKey, Key, PendingKey
from stores.memory.store import MemoryStore
from stores.shared.queue_looks import QueueLooks
from stores.shared.telling import TellingStore
from tests.contract.cases import AGENT, NOW, POLICY, a_poll, answer, claim, fetched, hand_out, queued
from tests.factories import BACKEND, seconds
from wire.protocol import RequestId


class Heard:
    """What a store told, in order; `store` is that store."""

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.here: list[Key] = []
        self.expected: list[Key] = []
        self.mark = 1
        self.store = TellingStore(
            MemoryStore(POLICY),
            QueueLooks(
                lambda key: self.mark,
                counts_for=seconds(3600),
                counts_without_mark_for=seconds(0),
                names_last_for=seconds(0),
            ),
            tell=self.keys.append,
            tell_here=self.here.append,
            expect_here=self.expected.append,
        )


def test_a_request_is_news_for_the_agents_of_its_backend() -> None:
    heard = Heard()
    queued(heard.store)

    assert heard.keys == [PendingKey(BACKEND)]


def test_an_agent_that_got_something_wakes_the_next_and_one_that_got_nothing_nobody() -> None:
    heard = Heard()
    queued(heard.store)
    claim(heard.store)
    claim(heard.store)

    assert heard.here == [PendingKey(BACKEND)]


def named(heard: Heard, capacity: int) -> int:
    """How many requests a poll is told of."""
    poll = replace(a_poll(capacity=capacity), offers_only=True)
    return len(hand_out(heard.store, poll))


def test_a_poll_that_left_something_wakes_the_next_and_one_that_took_all_spares_its_look() -> None:
    heard = Heard()
    for number in range(3):
        queued(heard.store, f"request-{number}")
    assert named(heard, capacity=2) == 2
    assert heard.here == [PendingKey(BACKEND)]
    assert named(heard, capacity=2) == 1
    for number in range(3):
        heard.store.fetch_exchange(BACKEND, RequestId(f"request-{number}"), agent_id=AGENT, now=NOW)
    queued(heard.store, "request-3")
    assert named(heard, capacity=2) == 0
    heard.mark = 2

    assert named(heard, capacity=2) == 1
    assert heard.here == [PendingKey(BACKEND)]


def test_an_agent_that_is_told_of_a_request_lets_expect_more_and_one_that_got_nothing_does_not() -> None:
    heard = Heard()
    queued(heard.store)
    named(heard, capacity=2)
    assert heard.expected == [PendingKey(BACKEND)]

    heard.mark = 2
    named(heard, capacity=2)
    assert heard.expected == [PendingKey(BACKEND)]


def test_what_was_named_spares_no_look_until_it_is_fetched() -> None:
    heard = Heard()
    exchange = queued(heard.store)
    assert named(heard, capacity=2) == 1
    queued(heard.store, "request-2")
    assert named(heard, capacity=2) == 1
    for name in (exchange.request_id, RequestId("request-2")):
        heard.store.fetch_exchange(BACKEND, name, agent_id=AGENT, now=NOW)
    queued(heard.store, "request-3")

    assert named(heard, capacity=2) == 0


def test_where_a_poll_may_have_left_what_is_too_long_for_it_the_next_one_looks() -> None:
    heard = Heard()
    queued(heard.store)
    hand_out(heard.store)
    queued(heard.store, "request-2")

    assert len(hand_out(heard.store)) == 1


def test_an_answer_is_news_for_its_user_and_lets_expect_more_requests() -> None:
    heard = Heard()
    exchange = fetched(heard.store)
    answer(heard.store, 0, b"HTTP/1.1 200 OK\r\n\r\n", last=True)

    assert heard.keys[-1] == ExchangeKey(exchange.request_id)
    assert heard.expected == [PendingKey(BACKEND)]


def test_a_failure_is_news_for_its_user() -> None:
    heard = Heard()
    exchange = fetched(heard.store)
    heard.store.fail_exchange(BACKEND, exchange.request_id, agent_id=AGENT, reason="gone")

    assert heard.keys[-1] == ExchangeKey(exchange.request_id)


def test_what_an_agent_gives_back_is_news_for_the_others() -> None:
    heard = Heard()
    queued(heard.store)
    claim(heard.store)
    heard.store.release_offers(BACKEND, agent_id=AGENT)
    heard.store.release_agent(BACKEND, agent_id=AGENT)

    assert heard.keys == [PendingKey(BACKEND)] * 3


def test_bytes_of_a_request_are_news_for_its_agent() -> None:
    heard = Heard()
    exchange = fetched(heard.store)
    heard.store.append_request(BACKEND, exchange.request_id, 0, b"G", last=False, now=NOW)

    assert heard.keys[-1] == ExchangeKey(exchange.request_id)
