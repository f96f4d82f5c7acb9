"""What agents are told: every row of the table that can meet one, and what a repeated call does."""

from dataclasses import replace
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from broker.errors import NoAnswer, StoreUnavailable
from tests.factories import a_backend, an_exchange
from tests.services.pair import AGENT, HASTY, PATIENT, Pair, raw_answer
from wire.protocol import (
    AGENT_ID,
    BACKEND_ID,
    ERROR,
    PENDING_PATH,
    REQUEST_ID,
    REQUEST_PATH,
    RESPONSE_PATH,
)

CALLS = [("GET", PENDING_PATH), ("DELETE", PENDING_PATH), ("GET", REQUEST_PATH), ("POST", RESPONSE_PATH)]


def agents(pair: Pair) -> FlaskClient:
    return pair.agents.test_client()


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_no_credentials_are_401(method: str, path: str) -> None:
    pair = Pair()
    pair.identity.account = None
    answered = agents(pair).open(path, method=method, headers={BACKEND_ID: "notebook", REQUEST_ID: "x"})

    assert (answered.status_code, answered.headers[ERROR]) == (401, "not-authenticated")
    assert answered.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), CALLS)
@pytest.mark.parametrize("backend_id", ["notebook", "unknown"])
def test_another_account_is_403_whether_the_backend_is_there_or_not(method: str, path: str, backend_id: str) -> None:
    pair = Pair()
    pair.identity.account = "other@example.com"
    answered = agents(pair).open(path, method=method, headers={BACKEND_ID: backend_id, REQUEST_ID: "x"})

    assert (answered.status_code, answered.headers[ERROR]) == (403, "not-allowed")
    assert "no backend of that ID is registered for the agents of other@example.com" in answered.text


def test_an_account_is_compared_without_case() -> None:
    pair = Pair(policy=HASTY, backend=a_backend(backend_user=AGENT.upper()))

    assert pair.agent().poll().status_code == 200


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (PENDING_PATH, {}),
        (PENDING_PATH, {BACKEND_ID: ""}),
        (PENDING_PATH, {BACKEND_ID: "x" * 257}),
        (PENDING_PATH, {BACKEND_ID: "notebook", AGENT_ID: "a b"}),
        (REQUEST_PATH, {BACKEND_ID: "notebook"}),
        (REQUEST_PATH, {BACKEND_ID: "notebook", REQUEST_ID: "a b"}),
    ],
)
def test_a_missing_or_odd_id_is_400(path: str, headers: dict[str, str]) -> None:
    answered = agents(Pair()).get(path, headers=headers)

    assert (answered.status_code, answered.headers[ERROR]) == (400, "malformed-request")


@pytest.mark.parametrize("path", ["/", "/agent/", "/agent/pending/", "/agent//pending", "/agent/pendingX", "/agent"])
def test_other_paths_are_404_and_never_a_redirect(path: str) -> None:
    answered = agents(Pair()).get(path)

    assert (answered.status_code, answered.headers[ERROR]) == (404, "no-such-path")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", PENDING_PATH, "DELETE, GET, HEAD"),
        ("OPTIONS", REQUEST_PATH, "GET, HEAD"),
        ("GET", RESPONSE_PATH, "POST"),
        ("PUT", RESPONSE_PATH, "POST"),
    ],
)
def test_another_method_is_405(method: str, path: str, allowed: str) -> None:
    answered = agents(Pair()).open(path, method=method)

    assert (answered.status_code, answered.headers["Allow"]) == (405, allowed)


def test_a_poll_without_work_is_an_empty_list_after_the_wait() -> None:
    answered = Pair(policy=HASTY).agent().poll()

    assert (answered.status_code, answered.data, answered.mimetype) == (200, b"[]", "application/json")


def test_a_poll_makes_the_backend_online() -> None:
    pair = Pair(policy=HASTY, backend=a_backend("fresh", backend_user=AGENT))
    before = pair.clock.now()
    pair.agent(backend_id="fresh").poll()
    polled = pair.store.get_statuses([pair.backend.backend_id])[pair.backend.backend_id].last_polled

    assert polled is not None
    assert polled >= before


def test_a_listed_request_is_hidden_from_other_polls() -> None:
    pair = Pair(policy=HASTY)
    with pair.asking() as asked:
        first = pair.agent("first")
        listed = first.next_id()
        assert pair.agent("second").poll().get_json() == []
        first.receive(listed)
        first.post(listed, raw_answer())
        asked.result()


def test_an_agent_that_was_told_of_a_request_gets_it_no_more_when_its_backend_is_registered_for_others() -> None:
    pair = Pair(policy=replace(PATIENT, fetch_wait=timedelta(seconds=1)))
    with pair.asking() as asked:
        offered = pair.agent().next_id()
        pair.store.put_backend(a_backend(backend_user="others@example.com"))
        fetched, posted = pair.agent().fetch(offered), pair.agent().post(offered, raw_answer())

        assert (fetched.status_code, posted.status_code) == (403, 403)
        assert asked.result().status_code == 503


def leave(pair: Pair, agent_id: str) -> int:
    headers = {BACKEND_ID: "notebook", AGENT_ID: agent_id, REQUEST_ID: "-"}
    return agents(pair).delete(PENDING_PATH, headers=headers).status_code


def test_what_was_offered_to_an_agent_that_asks_no_more_is_listed_to_others_at_once() -> None:
    pair = Pair()
    with pair.asking() as asked:
        offered = pair.agent("first").next_id()
        assert leave(pair, "first") == 204
        assert pair.agent("second").poll().get_json() == [offered]
        pair.agent("second").receive(offered)
        pair.agent("second").post(offered, raw_answer())
        asked.result()


def test_an_agent_that_asked_no_more_may_ask_again() -> None:
    pair = Pair(policy=HASTY)
    pair.agent("first").poll()
    assert leave(pair, "first") == 204
    with pair.asking() as asked:
        pair.agent("first").serve(raw_answer())  # it asks again, so it gets what there is
        assert asked.result().status_code == 200


def test_an_agent_without_a_name_cannot_leave() -> None:
    answered = agents(Pair()).delete(PENDING_PATH, headers={BACKEND_ID: "notebook"})
    assert (answered.status_code, answered.headers[ERROR]) == (400, "malformed-request")


def test_an_unknown_request_is_404() -> None:
    agent = Pair().agent()

    assert [agent.fetch("unknown").status_code, agent.post("unknown", raw_answer()).status_code] == [404, 404]


def test_a_fetched_request_is_given_again_to_the_same_agent_only() -> None:
    pair = Pair()
    with pair.asking() as asked:
        first = pair.agent("first")
        request_id = first.next_id()
        again = [first.receive(request_id).raw, first.receive(request_id).raw]
        refused = pair.agent("second").fetch(request_id)
        nameless = pair.agent("").fetch(request_id)
        first.post(request_id, raw_answer())
        asked.result()

    assert again[0] == again[1]
    assert (refused.status_code, refused.headers[ERROR]) == (409, "claimed-elsewhere")
    assert nameless.status_code == 409


def test_an_agent_of_the_original_which_has_no_id_is_served() -> None:
    pair = Pair()
    with pair.asking() as asked:
        pair.agent("").serve(raw_answer(200, b"old"))

        assert asked.result().data == b"old"


def test_an_answer_posted_twice_is_delivered_once() -> None:
    pair = Pair()
    with pair.asking() as asked:
        agent = pair.agent()
        request_id = agent.next_id()
        agent.receive(request_id)
        posted = [agent.post(request_id, raw_answer()).status_code for _ in range(2)]
        answered = asked.result()

    assert posted[0] == 200
    assert posted[1] in (200, 404)
    assert answered.data == b"hello"


def test_another_answer_to_the_same_request_is_409() -> None:
    pair = Pair()
    with pair.asking() as asked:
        agent = pair.agent()
        request_id = agent.next_id()
        agent.receive(request_id)
        pair.store_answer(request_id, 0, raw_answer()[:20])
        other = agent.post(request_id, raw_answer(404, b"other"))
        stranger = pair.agent("second").post(request_id, raw_answer())
        same = agent.post(request_id, raw_answer())
        answered = asked.result()

    assert (other.status_code, other.headers[ERROR]) == (409, "conflicting-bytes")
    assert (stranger.status_code, stranger.headers[ERROR]) == (409, "claimed-elsewhere")
    assert (same.status_code, answered.data) == (200, b"hello")


def test_an_answer_that_comes_after_its_failure_is_409() -> None:
    pair = Pair()
    now = pair.clock.now()
    exchange = an_exchange(started=now, expires=now + timedelta(minutes=1))
    pair.store.add_exchange(exchange, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", last=True)
    agent = pair.agent()
    agent.receive(exchange.request_id)
    pair.store.fail_exchange(pair.backend.backend_id, exchange.request_id, agent_id="agent-1", reason="lost")
    posted = agent.post(exchange.request_id, raw_answer())

    assert (posted.status_code, posted.headers[ERROR]) == (409, "claimed-elsewhere")


def test_a_request_is_fetched_while_it_is_still_being_sent() -> None:
    pair = Pair()
    now = pair.clock.now()
    exchange = an_exchange(started=now, expires=now + timedelta(minutes=1))
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n"
    pair.store.add_exchange(exchange, head + b"ab", last=False)
    fetched = pair.agent().fetch(exchange.request_id)
    pieces = fetched.iter_encoded()
    assert ("Content-Length" in fetched.headers, next(pieces)) == (False, head + b"ab")

    pair.store.append_request(
        exchange.backend_id, exchange.request_id, len(head) + 2, b"cd", last=True, now=pair.clock.now()
    )
    assert list(pieces) == [b"cd"]


def test_a_request_whose_sender_falls_silent_breaks_off() -> None:
    pair = Pair(policy=replace(PATIENT, idle_wait=timedelta(milliseconds=300)))
    now = pair.clock.now()
    exchange = an_exchange(started=now, expires=now + timedelta(minutes=1))
    pair.store.add_exchange(exchange, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n", last=False)
    fetched = pair.agent().fetch(exchange.request_id)

    with pytest.raises(NoAnswer, match="stopped sending"):
        list(fetched.iter_encoded())


def test_a_post_that_breaks_off_leaves_the_answer_open_for_a_retry() -> None:
    pair = Pair()
    with pair.asking() as asked:
        agent = pair.agent()
        request_id = agent.next_id()
        agent.receive(request_id)
        broken = agents(pair).post(
            RESPONSE_PATH,
            headers={BACKEND_ID: "notebook", AGENT_ID: "agent-1", REQUEST_ID: request_id},
            data=raw_answer()[:30],
            environ_overrides={"CONTENT_LENGTH": str(len(raw_answer()))},
        )
        retried = agent.post(request_id, raw_answer())
        answered = asked.result()

    assert (broken.status_code, retried.status_code, answered.data) == (400, 200, b"hello")


def test_a_store_that_is_down_is_503_and_never_an_empty_list() -> None:
    pair = Pair()
    pair.identity.error = StoreUnavailable("down")
    answered = pair.agent().poll()

    assert (answered.status_code, answered.headers[ERROR], answered.mimetype) == (
        503,
        "store-unavailable",
        "text/plain",
    )
    assert "Retry-After" in answered.headers
