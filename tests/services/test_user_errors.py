"""What a user is told when it does not work: every row of the table that can meet one."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from queue import Queue
from threading import current_thread
from typing import Any

import pytest

from broker.errors import BrokenAnswer, NoAnswer, NotAllowed, StoreUnavailable, UnknownRequest
from broker.model import Exchange
from proxy_service.removals import Removals
from stores.memory.store import MemoryStore
from tests.factories import a_backend
from tests.services.pair import AGENT, PATIENT, Pair, exchanges_in, raw_answer
from tests.timing import SECOND
from wire.protocol import ERROR, BackendId, RequestId


def reason(pair: Pair, status: int, target: str = "/", method: str = "GET", **more: Any) -> str | None:
    answered = pair.user.open(target, method=method, buffered=True, **more)
    assert answered.status_code == status, answered.text
    return answered.headers.get(ERROR)


def test_no_backend_is_404() -> None:
    pair = Pair(backend=a_backend(path_prefixes=("/only",)))

    assert reason(pair, 404, "/elsewhere") == "no-backend"


def test_a_backend_of_somebody_else_is_404() -> None:
    assert reason(Pair(backend=a_backend(end_user="other@example.com")), 404) == "no-backend"


def test_an_offline_backend_is_503_at_once() -> None:
    pair = Pair()
    pair.store.put_backend(a_backend("silent", path_prefixes=("/silent",)))
    pair.store.delete_backend(pair.backend.backend_id)

    answered = pair.user.get("/silent/x")

    assert (answered.status_code, answered.headers[ERROR]) == (503, "no-agent")
    assert int(answered.headers["Retry-After"]) > 0


def test_a_request_that_no_agent_fetches_is_503() -> None:
    pair = Pair(policy=replace(PATIENT, fetch_wait=timedelta(milliseconds=300)))

    assert reason(pair, 503) == "no-agent"
    assert exchanges_in(pair.store) == 0


def test_a_request_that_no_agent_answers_is_504() -> None:
    pair = Pair(policy=replace(PATIENT, response_wait=timedelta(seconds=1)))
    with pair.asking() as asked:
        agent = pair.agent()
        agent.receive(agent.next_id())
        answered = asked.result()

    assert (answered.status_code, answered.headers[ERROR]) == (504, "timeout")
    assert exchanges_in(pair.store) == 0


@pytest.mark.parametrize(
    "answer",
    [
        b"hello, I am no HTTP",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ntoo long",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_a_broken_answer_is_502_and_nothing_of_it_is_shown(answer: bytes) -> None:
    answered, _ = Pair().ask(answer)

    assert (answered.status_code, answered.headers[ERROR]) == (502, "broken-answer")


def test_an_empty_answer_is_502_at_once_and_400_for_the_agent() -> None:
    pair = Pair()
    with pair.asking() as asked:
        agent = pair.agent()
        request_id = agent.next_id()
        agent.receive(request_id)
        posted = agent.post(request_id, b"")
        answered = asked.result()

    assert posted.status_code == 400
    assert (answered.status_code, answered.headers[ERROR]) == (502, "empty-answer")


def test_an_answer_that_the_agent_gives_up_is_502() -> None:
    pair = Pair()
    with pair.asking() as asked:
        agent = pair.agent()
        request_id = agent.next_id()
        agent.receive(request_id)
        pair.store.append_answer(
            pair.backend.backend_id,
            request_id,
            0,
            b"HTTP/1.1 200 OK\r\n",
            agent_id="agent-1",
            last=False,
            now=pair.clock.now(),
        )
        agent.post(request_id, raw_answer(502, b"sorry"), error="backend-broke-off")
        answered = asked.result()

    assert (answered.status_code, answered.headers[ERROR]) == (502, "backend-broke-off")


def test_an_agents_own_error_is_the_answer_where_none_has_begun() -> None:
    pair = Pair()
    with pair.asking() as asked:
        agent = pair.agent()
        request_id = agent.next_id()
        agent.receive(request_id)
        posted = agent.post(
            request_id, raw_answer(502, b"refused", (ERROR, "backend-unreachable")), error="backend-unreachable"
        )
        answered = asked.result()

    assert posted.status_code == 200
    assert (answered.status_code, answered.data, answered.headers[ERROR]) == (502, b"refused", "backend-unreachable")


def test_an_agents_reason_that_is_not_a_word_is_shown_as_the_agents_error() -> None:
    answered, _ = Pair().ask(raw_answer(502, b"refused", (ERROR, "No Word")))

    assert (answered.status_code, answered.data, answered.headers[ERROR]) == (502, b"refused", "agent-error")


def test_a_backend_that_is_removed_meanwhile_is_502() -> None:
    pair = Pair()
    with pair.asking() as asked:
        pair.agent().next_id()
        pair.store.delete_backend(pair.backend.backend_id)
        answered = asked.result()

    assert (answered.status_code, answered.headers[ERROR]) == (502, "broken-answer")


def test_too_many_waiting_requests_are_503() -> None:
    assert reason(Pair(capacity=0), 503) == "overloaded"


def test_a_body_over_the_limit_is_413_before_it_is_read() -> None:
    pair = Pair()
    answered = pair.user.post("/", environ_overrides={"CONTENT_LENGTH": "6000001", "wsgi.input": None})

    assert (answered.status_code, answered.headers[ERROR]) == (413, "too-large")
    assert "6000000 bytes" in answered.text


def test_an_answer_over_the_limit_is_502_at_once_and_says_what_to_use_instead() -> None:
    pair = Pair(window=1 << 23)
    with pair.asking() as asked:
        agent = pair.agent()
        request_id = agent.next_id()
        agent.fetch(request_id)
        posted = agent.post(request_id, raw_answer(200, bytes(6_100_000)))

        assert (posted.status_code, posted.headers[ERROR]) == (413, "too-large")
        assert "6000000 bytes" in posted.text
        assert (asked.result().status_code, asked.result().headers[ERROR]) == (502, "answer-too-large")
        assert "a stand-alone proxy, which carries any length" in asked.result().text


def test_an_answer_that_turns_out_too_long_breaks_off() -> None:
    pair = Pair(window=1 << 23)
    with pair.asking() as asked:
        agent = pair.agent()
        request_id = agent.next_id()
        agent.fetch(request_id)
        posted = agent.post(request_id, raw_answer(200, bytes(6_100_000)), is_chunked=True)

        assert (posted.status_code, posted.headers[ERROR]) == (413, "too-large")
        with pytest.raises(BrokenAnswer):
            asked.result()


def test_a_chunked_body_over_the_limit_is_413_too() -> None:
    pair = Pair(window=1 << 23)
    answered = pair.user.post("/", data=b"x" * 6_000_001, environ_overrides={"HTTP_TRANSFER_ENCODING": "chunked"})

    assert (answered.status_code, answered.headers[ERROR]) == (413, "too-large")
    assert exchanges_in(pair.store) == 0


def test_a_head_over_the_limit_is_431() -> None:
    assert reason(Pair(), 431, headers={"X-Long": "x" * 70_000}) == "too-large"


@pytest.mark.parametrize(
    "overrides",
    [
        {"HTTP_TRANSFER_ENCODING": "gzip, chunked"},
        {"CONTENT_LENGTH": "+1"},
        {"CONTENT_LENGTH": "10"},
        {"REQUEST_METHOD": "BAD METHOD"},
        {"RAW_URI": "/a b"},
        {"HTTP_X_BAD": "a\x00b"},
        {"RAW_URI": "http://[/"},
    ],
)
def test_a_bad_request_is_400(overrides: dict[str, str]) -> None:
    assert reason(Pair(), 400, method="POST", data=b"abc", environ_overrides=overrides) == "malformed-request"


def test_a_websocket_is_501() -> None:
    handshake = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "x"}

    assert reason(Pair(), 501, headers=handshake) == "upgrade-not-supported"
    assert reason(Pair(), 501, method="CONNECT") == "upgrade-not-supported"


@pytest.mark.parametrize(("is_known", "status"), [(False, 401), (True, 403)])
def test_a_user_without_or_with_the_wrong_identity_is_told_which(is_known: bool, status: int) -> None:
    pair = Pair()
    pair.identity.error = NotAllowed("no", authenticated=is_known)
    answered = pair.user.get("/")

    assert answered.status_code == status
    assert ("WWW-Authenticate" in answered.headers) is (not is_known)


def test_a_service_that_is_down_is_503() -> None:
    pair = Pair()
    pair.identity.error = StoreUnavailable("the address of something internal")
    answered = pair.user.get("/")

    assert (answered.status_code, answered.headers[ERROR]) == (503, "store-unavailable")
    assert "internal" not in answered.text


def test_a_fault_is_500_and_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    pair = Pair()
    pair.identity.error = RuntimeError("the secret")
    answered = pair.user.get("/")

    assert (answered.status_code, answered.headers[ERROR]) == (500, "internal-error")
    assert "secret" not in answered.text
    assert "the secret" in caplog.text


def test_an_error_is_a_page_for_a_browser_and_text_for_others() -> None:
    pair = Pair(backend=a_backend(path_prefixes=("/only",)))

    assert pair.user.get("/", headers={"Accept": "text/html"}).data.startswith(b"<!doctype html>")
    assert pair.user.get("/", headers={"Accept": "application/json"}).get_json()["error"]["reason"] == "no-backend"
    assert pair.user.get("/").mimetype == "text/plain"


def test_the_platforms_own_paths_never_reach_a_backend() -> None:
    pair = Pair()

    assert [pair.user.get(path).status_code for path in ("/_ah/warmup", "/_ah/start")] == [200, 200]


def test_a_request_is_one_line_in_the_log_and_its_id_is_not_in_it(caplog: pytest.LogCaptureFixture) -> None:
    pair = Pair()
    with caplog.at_level(logging.INFO, logger="edge.service"):
        _, received = pair.ask(raw_answer(200, b"12345"), "/path?token=secret", "POST", data=b"123")
    request_id = received.fields.get("X-Inverting-Proxy-Request-ID") or ""
    lines = [entry.getMessage() for entry in caplog.records if " /path " in entry.getMessage()]

    assert len(lines) == 1
    assert lines[0].startswith(f"{request_id[:8]} POST /path 200 3>5B ")
    assert lines[0].endswith(" backend=notebook")
    assert request_id not in caplog.text
    assert "secret" not in caplog.text
    assert AGENT not in caplog.text


def test_a_client_learns_the_trace_that_the_log_names(caplog: pytest.LogCaptureFixture) -> None:
    pair = Pair(backend=a_backend(path_prefixes=("/only",)))
    with caplog.at_level(logging.INFO, logger="edge.service"):
        trace = pair.user.get("/", buffered=True).headers["X-Inverting-Proxy-Trace-ID"]

    assert caplog.records[-1].getMessage().startswith(f"{trace} GET / 404 ")
    assert caplog.records[-1].getMessage().endswith(" reason=no-backend")


class Unreliable(MemoryStore):
    """Its service fails when an exchange shall go."""

    def delete_exchange(self, backend_id: BackendId, request_id: RequestId) -> None:
        raise StoreUnavailable("down")


def test_an_answer_is_delivered_also_where_the_exchange_cannot_be_removed(caplog: pytest.LogCaptureFixture) -> None:
    answered, received = Pair(kind=Unreliable).ask(raw_answer())
    request_id = received.fields.get("X-Inverting-Proxy-Request-ID") or ""

    assert answered.data == b"hello"
    assert f"{request_id[:8]} not removed: down" in caplog.text
    assert request_id not in caplog.text


class Down(MemoryStore):
    """Takes no exchange, and must not be waited for until it has taken one away."""

    def add_exchange(self, exchange: Exchange, request: bytes, *, last: bool) -> None:
        raise StoreUnavailable("down")

    def delete_exchange(self, backend_id: BackendId, request_id: RequestId) -> None:
        raise AssertionError("a user waits for this")


def test_who_is_told_that_the_store_is_down_does_not_wait_for_a_removal_either() -> None:
    removed = Queue[str]()

    def remove(exchanges: Sequence[Exchange]) -> None:
        removed.put(current_thread().name)

    assert reason(Pair(kind=Down, removals=Removals(remove, gathering=0.001)), 503) == "store-unavailable"
    assert removed.get(timeout=10 * SECOND) == "removals"


class Forgetful(MemoryStore):
    """Its exchanges are removed before they are sent to the end."""

    def append_request(self, *args: Any, **more: Any) -> int:
        raise UnknownRequest("gone")


def test_a_request_that_is_removed_while_it_is_sent_is_502() -> None:
    assert reason(Pair(kind=Forgetful), 502, method="POST", data=b"x" * 100_000) == "broken-answer"


def test_an_answer_that_breaks_off_late_is_seen_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    pair = Pair(policy=replace(PATIENT, idle_wait=timedelta(milliseconds=300)))
    with caplog.at_level(logging.INFO, logger="edge.service"), ThreadPoolExecutor(1) as users:
        asked = users.submit(pair.user.get, "/late")
        agent = pair.agent()
        request_id = agent.next_id()
        agent.receive(request_id)
        pair.store_answer(request_id, 0, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        answered = asked.result()
        with pytest.raises(NoAnswer, match="stopped answering"):
            list(answered.iter_encoded())
        answered.close()

    assert exchanges_in(pair.store) == 0
    assert " GET /late 200 0>2B " in caplog.records[-1].getMessage()
    assert caplog.records[-1].getMessage().endswith("reason=timeout")


def test_a_client_that_leaves_is_seen_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    pair = Pair()
    with caplog.at_level(logging.INFO, logger="edge.service"), ThreadPoolExecutor(1) as users:
        asked = users.submit(pair.user.get, "/left")
        agent = pair.agent()
        request_id = agent.next_id()
        agent.receive(request_id)
        pair.store_answer(request_id, 0, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        asked.result().close()
        late = agent.post(request_id, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd")

    assert late.status_code == 404
    assert any(entry.getMessage().endswith("reason=client-gone") for entry in caplog.records)
