import pytest

from broker.answers import AnswerReader, post_answer
from broker.errors import BrokenAnswer, ClaimedElsewhere, ConflictingBytes
from broker.model import Part, State
from broker.policy import Policy
from broker.waiting import drive
from stores.memory.store import MemoryStore
from tests.factories import BACKEND, REQUEST, an_exchange
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.waiter import ScriptedWaiter
from wire.errors import MalformedMessage
from wire.headers import Headers
from wire.http1 import End, ResponseHead

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
OWN = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
AGENT = "agent-1"


def a_fetched_exchange() -> MemoryStore:
    store = MemoryStore(Policy())
    store.add_exchange(an_exchange(), b"", last=True)
    store.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=NOON)
    return store


def a_reader() -> AnswerReader:
    return AnswerReader(an_exchange())


def post(store: MemoryStore, part: Part, *, agent_id: str = AGENT, error: str | None = None) -> None:
    clock = FakeClock()
    posting = post_answer(store, clock, Policy(), BACKEND, REQUEST, part, agent_id=agent_id, error=error)
    drive(posting, ScriptedWaiter(clock))


def answer_of(store: MemoryStore) -> tuple[State, str, bytes | None]:
    answer = store.read_answer(BACKEND, REQUEST, 0)
    return answer.exchange.state, answer.exchange.failure, answer.part and answer.part.data


def test_what_is_posted_is_the_answer() -> None:
    store = a_fetched_exchange()

    post(store, Part(0, WHOLE, last=True))

    assert answer_of(store) == (State.ANSWERED, "", WHOLE)


def test_a_post_of_no_bytes_is_refused_and_fails_the_exchange_at_once() -> None:
    store = a_fetched_exchange()

    with pytest.raises(MalformedMessage, match="no bytes"):
        post(store, Part(0, b"", last=True))

    assert answer_of(store) == (State.FAILED, "empty-answer", None)


def test_the_end_of_a_post_without_further_bytes_ends_the_answer() -> None:
    store = a_fetched_exchange()
    post(store, Part(0, WHOLE, last=False))

    post(store, Part(len(WHOLE), b"", last=True))

    assert answer_of(store) == (State.ANSWERED, "", WHOLE)


def test_an_agents_own_answer_is_the_answer_where_none_has_begun() -> None:
    store = a_fetched_exchange()

    post(store, Part(0, OWN, last=True), error="backend-unreachable")

    assert answer_of(store) == (State.ANSWERED, "", OWN)


def test_an_agents_own_answer_fails_one_that_has_begun() -> None:
    store = a_fetched_exchange()
    post(store, Part(0, WHOLE[:-2], last=False))

    post(store, Part(0, OWN, last=True), error="backend-broke-off")

    assert answer_of(store) == (State.FAILED, "backend-broke-off", WHOLE[:-2])


def test_the_rest_of_a_post_that_failed_an_answer_is_taken_and_dropped() -> None:
    store = a_fetched_exchange()
    post(store, Part(0, WHOLE[:-2], last=False))
    post(store, Part(0, OWN, last=False), error="backend-broke-off")

    post(store, Part(len(OWN), b"more", last=True), error="backend-broke-off")

    assert answer_of(store) == (State.FAILED, "backend-broke-off", WHOLE[:-2])


def test_an_answer_that_has_failed_takes_no_more_bytes_and_is_to_be_dropped() -> None:
    store = a_fetched_exchange()
    store.fail_exchange(BACKEND, REQUEST, agent_id=AGENT, reason="backend-broke-off")

    with pytest.raises(ClaimedElsewhere, match="failed already"):
        post(store, Part(0, WHOLE, last=True))


def test_a_reason_that_is_not_a_word_is_not_taken_over() -> None:
    store = a_fetched_exchange()
    post(store, Part(0, WHOLE[:-2], last=False))

    post(store, Part(0, OWN, last=True), error="<script>")

    assert answer_of(store)[:2] == (State.FAILED, "agent-error")


def test_bytes_that_differ_are_refused_and_leave_the_answer_as_it_was() -> None:
    store = a_fetched_exchange()
    post(store, Part(0, WHOLE[:-2], last=False))

    with pytest.raises(ConflictingBytes):
        post(store, Part(0, OWN, last=True))

    assert answer_of(store) == (State.ANSWERING, "", WHOLE[:-2])


@pytest.mark.parametrize("error", [None, "backend-unreachable"])
def test_only_the_agent_that_fetched_it_may_answer(error: str | None) -> None:
    with pytest.raises(ClaimedElsewhere):
        post(a_fetched_exchange(), Part(0, OWN, last=True), agent_id="agent-2", error=error)


def test_an_answer_is_read_however_it_was_cut() -> None:
    reader = a_reader()

    events = [event for at in range(len(WHOLE)) for event in reader.read(Part(at, WHOLE[at : at + 1], last=False))]

    assert events == [ResponseHead(200, Headers(), 5), b"h", b"e", b"l", b"l", b"o", End()]


def test_the_head_of_an_answer_is_the_one_that_may_travel_on() -> None:
    raw = b"HTTP/1.1 200 OK\r\nKeep-Alive: 5\r\nX-AppEngine-Blob: 1\r\nETag: a\r\nContent-Length: 0\r\n\r\n"

    events = a_reader().read(Part(0, raw, last=True))

    assert events == [ResponseHead(200, Headers([("ETag", "a")]), 0), End()]


@pytest.mark.parametrize(
    "raw", [WHOLE[:-1], WHOLE[:20], b"", WHOLE + b"more", b"nonsense\r\n\r\n"], ids=lambda raw: repr(raw[-12:])
)
def test_bytes_that_are_not_a_whole_answer_are_a_broken_answer(raw: bytes) -> None:
    with pytest.raises(BrokenAnswer, match="not an HTTP answer"):
        a_reader().read(Part(0, raw, last=True))


def test_the_empty_chunks_that_the_originals_agent_writes_behind_an_answer_without_a_body_are_no_fault() -> None:
    raw = b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"

    assert a_reader().read(Part(0, raw, last=True)) == [ResponseHead(204, Headers(), None), End()]


@pytest.mark.parametrize(
    ("posted", "shown"),
    [
        (["backend-unreachable"], ["backend-unreachable"]),
        (["<script>"], ["agent-error"]),
        ([""], ["agent-error"]),
        (["x" * 65], ["agent-error"]),
        (["backend-unreachable", "No Word"], ["agent-error"]),
    ],
)
def test_a_reason_inside_an_answer_is_a_word_or_becomes_one(posted: list[str], shown: list[str]) -> None:
    fields = "".join(f"X-Inverting-Proxy-Error: {reason}\r\n" for reason in posted).encode()
    raw = b"HTTP/1.1 502 Bad Gateway\r\n" + fields + b"Content-Length: 0\r\n\r\n"

    head, _ = a_reader().read(Part(0, raw, last=True))

    own = [*(("X-Inverting-Proxy-Error", reason) for reason in shown), ("X-Inverting-Proxy-Trace-ID", REQUEST[:8])]
    assert head == ResponseHead(502, Headers(own), 0)
