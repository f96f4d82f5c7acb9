"""The conversation with a proxy of version 2: what goes together, what becomes of each, and how version 1 is found."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import pytest

from agent.exchanges import Exchanges
from agent.identity.credentials import NoCredentials
from agent.messages import Request, Response, whole_body
from agent.poller import Poller
from agent.proxy.client import AgentIdentity, ProxyClient
from agent.proxy.conversation import Conversation
from agent.proxy.errors import Gone, ProxyError
from agent.seen import SeenIds
from agent.transport.client import HttpClient, Interrupt
from agent.transport.connections import ConnectionPool
from agent.transport.errors import Broken, SourceBroke
from tests.agent.batch_proxy import NOTHING, BatchProxy, an_entry, batch_proxy
from tests.agent.original_proxy import OriginalProxy, original_proxy
from tests.agent.peers import an_answer
from tests.timing import SECOND, wait_until
from wire.headers import Headers
from wire.http1 import CHUNKED, End, ResponseHead, ResponseParser
from wire.negotiation import Receipt
from wire.protocol import RequestId

GET = b"GET /path HTTP/1.1\r\nHost: x\r\n\r\n"


def a_client(url: str) -> ProxyClient:
    return ProxyClient(
        HttpClient(ConnectionPool(url, size=9, connect_timeout=5 * SECOND)),
        url=url,
        identity=AgentIdentity("notebook", "agent-1", "test/1"),
        credentials=NoCredentials(),
        poll_limit=timedelta(seconds=20 * SECOND),
        jitter=lambda: 0.1,
        sleep=time.sleep,
    )


def an_answer_of(text: str) -> Response:
    return Response(ResponseHead(200, Headers(), len(text)), whole_body(text.encode()))


class Talk:
    """A conversation in version 2 whose first post is held back, so that what comes after it goes together."""

    def __init__(self, proxy: BatchProxy) -> None:
        self.proxy = proxy
        self.told: queue.Queue[tuple[str, Exception | None]] = queue.Queue()
        self.now = 0.0
        client = a_client(proxy.url)
        client.calls.round_trip.observe(0.0)  # a short link, however busy this machine is
        self.conversation = Conversation(client, now=lambda: self.now)
        proxy.polls.put(NOTHING)
        self.conversation.poll(Interrupt(), capacity=1)
        assert self.conversation.is_batched

    def put(self, name: str, response: Response | None = None) -> None:
        self.conversation.respond(
            RequestId(name),
            response or an_answer_of(name),
            method="GET",
            told=lambda why_not: self.told.put((name, why_not)),
        )

    def put_together(self, *names: str, **answers: Response) -> dict[str, Exception | None]:
        """What each is told."""
        held, proceed = threading.Event(), threading.Event()

        def hold() -> None:
            held.set()
            assert proceed.wait(10 * SECOND)

        self.proxy.before_post = hold
        first = threading.Thread(target=self.put, args=("first",))
        first.start()
        assert held.wait(10 * SECOND)
        self.proxy.before_post = lambda: None
        for name in names:
            self.put(name)
        for name, response in answers.items():
            self.put(name, response)
        proceed.set()
        first.join(20 * SECOND)
        told = dict(self.told.get(timeout=10 * SECOND) for _ in (first, *names, *answers))
        assert told.pop("first") is None
        return told


@contextmanager
def a_talk(proxy: BatchProxy | None = None) -> Iterator[Talk]:
    with batch_proxy(proxy) as running:
        yield Talk(running)


def body_of(raw: bytes) -> bytes:
    parser = ResponseParser("GET")
    _, *rest = [*parser.feed(raw), *parser.close()]
    return b"".join(event for event in rest if isinstance(event, bytes))


def test_a_lone_answer_goes_by_the_call_of_version_1() -> None:
    with a_talk() as talk:
        talk.put("a")
        assert (talk.told.get_nowait(), talk.proxy.posts) == (("a", None), [["a"]])
        assert body_of(talk.proxy.answer_to("a")) == b"a"


def test_answers_that_wait_go_together() -> None:
    with a_talk() as talk:
        told = talk.put_together("a", "b", "c")
        assert (told, talk.proxy.posts) == ({"a": None, "b": None, "c": None}, [["first"], ["a", "b", "c"]])
        assert [body_of(talk.proxy.answer_to(name)) for name in "abc"] == [b"a", b"b", b"c"]


def test_each_is_told_what_has_become_of_it() -> None:
    def receipt(ids: Sequence[RequestId]) -> Receipt:
        a, b, c, d, *_ = ids
        return Receipt((a,), (b,), {c: "claimed-elsewhere", d: "malformed", ids[4]: "post-alone"})

    with a_talk(BatchProxy(receipt=receipt)) as talk:
        told = talk.put_together("a", "b", "c", "d", "e", "f")
        posts = talk.proxy.posts
    assert {name: type(why_not) for name, why_not in told.items()} == {
        "a": type(None), "b": Gone, "c": Gone, "d": ProxyError, "e": type(None), "f": type(None),
    }  # fmt: skip
    assert posts == [["first"], list("abcdef"), ["e"], ["f"]]


@pytest.mark.parametrize("status", [400, 413, 431])
def test_a_batch_that_is_not_taken_is_taken_apart(status: int) -> None:
    with a_talk(BatchProxy(refuses_batches=status)) as talk:
        assert talk.put_together("a", "b") == {"a": None, "b": None}
        talk.proxy.refuses_batches = 0
        assert talk.put_together("c", "d") == {"c": None, "d": None}
        assert talk.proxy.posts == [["first"], ["a"], ["b"], ["first"], ["c", "d"]]


@pytest.mark.parametrize("status", [404, 405, 406, 415])
def test_a_proxy_that_takes_no_batches_gets_none_for_a_while(status: int) -> None:
    with a_talk(BatchProxy(refuses_batches=status)) as talk:
        assert talk.put_together("a", "b") == {"a": None, "b": None}
        talk.proxy.refuses_batches = 0
        talk.put("c")
        assert (talk.told.get_nowait(), talk.proxy.posts) == (("c", None), [["first"], ["a"], ["b"], ["c"]])
        talk.now += 61.0
        assert talk.put_together("d", "e") == {"d": None, "e": None}
        assert talk.proxy.posts[-1] == ["d", "e"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_batch_that_the_proxy_could_not_answer_for_is_posted_again_as_it_was(status: int) -> None:
    with a_talk(BatchProxy(fails=[status, status])) as talk:
        assert talk.put_together("a", "b") == {"a": None, "b": None}
        posted = [bytes(call.body) for call in talk.proxy.named("POST", "/agent/response")]
        assert (talk.proxy.posts, len(set(posted[1:]))) == ([["first"], *[["a", "b"]] * 3], 1)


def test_the_reason_of_a_failure_stands_beside_it() -> None:
    with a_talk() as talk:
        failed = Response(ResponseHead(502, Headers(), 0), whole_body(b""), failure="backend-broke")
        talk.put_together("a", "b", failed=failed)
        assert talk.proxy.failures == {"first": "", "a": "", "b": "", "failed": "backend-broke"}


@pytest.mark.parametrize("length", [300_000, CHUNKED])
def test_what_is_large_or_streams_goes_alone(length: int) -> None:
    with a_talk() as talk:
        talk.put("a", Response(ResponseHead(200, Headers(), length), iter([b"x" * 300_000, End()])))
        assert (talk.told.get_nowait(), talk.proxy.posts) == (("a", None), [["a"]])
        assert len(body_of(talk.proxy.answer_to("a"))) == 300_000


def test_an_answer_that_breaks_off_is_not_posted() -> None:
    def breaking() -> Iterator[bytes | End]:
        yield b"begun"
        raise Broken("the backend died")

    with a_talk() as talk:
        talk.put("a", Response(ResponseHead(200, Headers(), 100), breaking()))
        name, why_not = talk.told.get_nowait()
        assert (name, type(why_not), talk.proxy.posts) == ("a", SourceBroke, [])


def test_the_original_takes_a_batch_for_a_farewell_and_then_each_answer() -> None:
    """Without its Request-ID it would be a poll, whose list nobody reads."""
    with original_proxy(OriginalProxy()) as proxy:
        talk = Conversation(a_client(proxy.url))
        talk.version = 2  # as if another proxy had been there a moment ago
        told: queue.Queue[Exception | None] = queue.Queue()
        proxy.add(GET, "a")
        proxy.add(GET, "b")
        talk._outbox._posting = 1  # somebody posts
        for name in ("a", "b"):
            talk.respond(RequestId(name), an_answer_of(name), method="GET", told=told.put)
        talk._outbox._post_waiting()
        assert [told.get_nowait(), told.get_nowait()] == [None, None]
        assert (body_of(proxy.answers["a"]), body_of(proxy.answers["b"]), proxy.kinds("list")) == (b"a", b"b", [])


# A whole agent.


@contextmanager
def an_agent(url: str, handler: Callable[[Request], Response], *, concurrency: int = 8) -> Iterator[Conversation]:
    drained = threading.Event()
    conversation, seen = Conversation(a_client(url)), SeenIds(100)
    poller = Poller(
        conversation,
        Exchanges(conversation, handler, forget=seen.discard).run,
        seen=seen,
        concurrency=concurrency,
        jitter=lambda: 0.1,
        on_drained=drained.set,
    )
    poller.start()
    try:
        yield conversation
    finally:
        poller.stop()
        assert drained.wait(20 * SECOND)


def echo(request: Request) -> Response:
    return an_answer_of(request.head.target)


def test_requests_that_come_in_a_batch_are_answered() -> None:
    with batch_proxy() as proxy, an_agent(proxy.url, echo):
        names = [f"id-{number}" for number in range(5)]
        proxy.hand_out(*(an_entry(name, GET.replace(b"/path", b"/" + name.encode())) for name in names))
        assert [body_of(proxy.answer_to(name)) for name in names] == [b"/" + name.encode() for name in names]
        assert proxy.named("GET", "/agent/request") == []


def test_a_request_that_is_only_named_is_fetched() -> None:
    with batch_proxy() as proxy, an_agent(proxy.url, echo):
        proxy.requests["a"] = GET
        proxy.hand_out(an_entry("a", b"", to_fetch=True))
        assert body_of(proxy.answer_to("a")) == b"/path"
        assert len(proxy.named("GET", "/agent/request")) == 1


def test_a_request_that_is_not_http_is_answered_for() -> None:
    with batch_proxy() as proxy, an_agent(proxy.url, echo):
        proxy.requests["a"] = b"nonsense\r\n\r\n"
        proxy.hand_out(an_entry("a", b"nonsense\r\n\r\n"))
        proxy.answer_to("a")
        assert proxy.failures["a"] == "request-broke"


def test_a_proxy_that_is_replaced_by_an_older_and_a_newer_one_is_noticed() -> None:
    with batch_proxy() as proxy, an_agent(proxy.url, echo) as conversation:
        proxy.hand_out(an_entry("a", GET))
        proxy.answer_to("a")
        assert conversation.is_batched
        proxy.requests["b"] = GET
        for _ in range(3):  # the polls that wait
            proxy.polls.put(an_answer(b'["b"]'))
        proxy.answer_to("b")
        wait_until(lambda: not conversation.is_batched, within=10 * SECOND, what="version 1")
        proxy.hand_out(an_entry("c", GET))
        proxy.answer_to("c")
        wait_until(lambda: conversation.is_batched, within=10 * SECOND, what="version 2")


def test_an_agent_that_stops_ends_its_polls_by_the_proxy_and_loses_none() -> None:
    with batch_proxy() as proxy:
        with an_agent(proxy.url, echo):
            proxy.hand_out(an_entry("a", GET))
            proxy.answer_to("a")
            wait_until(lambda: proxy.polling >= 2, within=10 * SECOND, what="a poll to spare")
        [farewell] = proxy.named("DELETE", "/agent/pending")
    assert farewell.get_all("X-Inverting-Proxy-Lost-Poll") == []


def test_an_agent_never_asks_for_more_than_it_can_run() -> None:
    proceed = threading.Event()

    def wait(request: Request) -> Response:
        assert proceed.wait(10 * SECOND)
        return echo(request)

    with batch_proxy() as proxy, an_agent(proxy.url, wait, concurrency=3):
        proxy.hand_out(an_entry("a", GET), an_entry("b", GET))
        wait_until(lambda: len(proxy.poll_ids()) == 2, within=10 * SECOND, what="a further poll")
        asked = [int(call.get_all("X-Inverting-Proxy-Capacity")[0]) for call in proxy.named("GET", "/agent/pending")]
        assert asked == [2, 1]
        proceed.set()
        proxy.answer_to("b")


def test_the_proxy_says_for_whose_answers_nobody_waits() -> None:
    with batch_proxy() as proxy:
        client = a_client(proxy.url)
        gone: list[RequestId] = []
        client.polls.on_gone = gone.extend
        proxy.polls.put(b"HTTP/1.1 204 No Content\r\nX-Inverting-Proxy-Gone: a b\r\n\r\n")
        polled = client.polls.poll(Interrupt(), capacity=1)

        assert (polled.listed, gone) == ([], ["a", "b"])


def test_on_a_long_link_polls_and_answers_do_not_wait_behind_each_other() -> None:
    proceed, changed, begun = threading.Event(), threading.Condition(), list[None]()

    def wait_for_another_post() -> None:
        with changed:
            begun.append(None)
            changed.notify_all()
            assert changed.wait_for(lambda: len(begun) > 1, timeout=10 * SECOND)

    def wait(request: Request) -> Response:
        if request.head.target == "/wait":
            assert proceed.wait(10 * SECOND)
        return echo(request)

    with batch_proxy() as proxy, an_agent(proxy.url, wait, concurrency=64):
        proxy.before_post = lambda: time.sleep(0.05 * SECOND)
        proxy.hand_out(an_entry("first", GET))
        proxy.answer_to("first")
        names = [f"id-{number}" for number in range(5)]
        for name in names:
            proxy.hand_out(an_entry(name, GET.replace(b"/path", b"/wait")))
        wait_until(lambda: proxy.polling >= 5, within=10 * SECOND, what="as many polls as requests run")
        proxy.before_post = wait_for_another_post
        proceed.set()
        for name in names:
            proxy.answer_to(name)
