"""Calls over HTTP/2: what the backend gets, what comes back, and what happens when one of both misbehaves."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import HeadersFrame

from agent.transport.client import Interrupt
from agent.transport.connections import ConnectionPool
from agent.transport.errors import (
    Broken,
    NothingReceived,
    NotHttp2,
    NotProcessed,
    SourceBroke,
    TimedOut,
    TransportError,
    Unreachable,
)
from agent.transport.http2_client import MAX_CONNECTIONS, Http2Client, Http2Reply
from agent.transport.http2_connection import Http2Connection
from agent.transport.http2_protocol import STREAM_BYTES
from agent.transport.upload import Body
from tests.agent.http2_peer import Call, Http2Wire, in_turn, scripted, serving
from tests.agent.peers import Wire, peer
from tests.timing import SECOND, wait_until
from wire.headers import Headers
from wire.http1 import CHUNKED, End, Length, RequestHead

LIMIT = 20 * SECOND


def a_head(method: str = "GET", target: str = "/", *fields: tuple[str, str], length: Length = None) -> RequestHead:
    return RequestHead(method, target, Headers([("Host", "example.com"), *fields]), length)


def a_pool(url: str) -> ConnectionPool:
    return ConnectionPool(url, size=1, connect_timeout=LIMIT, is_http2=True)


@contextmanager
def a_client(url: str) -> Iterator[Http2Client]:
    with closing(Http2Client(a_pool(url), scheme="http")) as client:
        yield client


def read(reply: Http2Reply) -> tuple[bytes, End]:
    with closing(reply):
        *pieces, end = reply.events()
    assert isinstance(end, End)
    return b"".join(piece for piece in pieces if isinstance(piece, bytes)), end


def streamed(*events: bytes | End) -> Body:
    return Body(iter(events), abandon=lambda: None)


def greet(http2: Http2Wire, call: Call) -> None:
    http2.answer(call, b"hello", ("content-type", "text/plain"))


# What is said


def test_a_request_and_its_answer() -> None:
    seen: list[Call] = []

    def handle(http2: Http2Wire, call: Call) -> None:
        seen.append(call)
        http2.answer(
            call, b"hello", ("content-length", "5"), ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("etag", "x")
        )

    with peer(serving(handle)) as backend, a_client(backend.url) as client:
        head = a_head("POST", "/a%2Fb?c", ("X-Foo", "1"), ("x-foo", "caf\xe9"), length=3)
        reply = client.call(head, b"abc", limit=LIMIT)
        body, end = read(reply)
    assert seen[0].fields == [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "example.com"),
        (":path", "/a%2Fb?c"),
        ("x-foo", "1"),
        ("x-foo", "caf\xe9"),
        ("te", "trailers"),
        ("content-length", "3"),
    ]
    assert seen[0].body == b"abc"
    assert (reply.head.status, reply.head.length, body, end) == (200, 5, b"hello", End())
    assert list(reply.head.headers) == [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("ETag", "x")]


def test_trailers_travel_both_ways() -> None:
    seen: list[Call] = []

    def handle(http2: Http2Wire, call: Call) -> None:
        seen.append(call)
        http2.head(call)
        http2.data(call, b"hello")
        http2.trailers(call, ("grpc-status", "0"), ("set-cookie", "forbidden=1"))

    with peer(serving(handle)) as backend, a_client(backend.url) as client:
        body = streamed(b"abc", b"def", End(Headers([("X-Sum", "6")])))
        reply = client.call(a_head("POST", length=CHUNKED), body, limit=LIMIT)
        assert read(reply) == (b"hello", End(Headers([("Grpc-Status", "0")])))
    assert (seen[0].body, seen[0].trailers, seen[0].get("content-length")) == (b"abcdef", [("x-sum", "6")], None)
    assert reply.head.length == CHUNKED


def test_an_answer_of_trailers_alone_is_a_head_without_a_body() -> None:
    with (
        peer(serving(lambda http2, call: http2.head(call, ("grpc-status", "5"), end=True))) as backend,
        a_client(backend.url) as client,
    ):
        reply = client.call(a_head(), limit=LIMIT)
        assert read(reply) == (b"", End())
    assert (reply.head.length, reply.head.headers.get("Grpc-Status")) == (0, "5")


def test_interim_answers_are_skipped() -> None:
    def handle(http2: Http2Wire, call: Call) -> None:
        http2.head(call, ("link", "</x>"), status="103")
        greet(http2, call)

    with peer(serving(handle)) as backend, a_client(backend.url) as client:
        reply = client.call(a_head(), limit=LIMIT)
        assert (reply.head.status, read(reply)[0]) == (200, b"hello")


@pytest.mark.parametrize(("method", "status"), [("HEAD", "200"), ("GET", "304")])
def test_an_answer_that_has_no_body_keeps_the_length_that_it_says(method: str, status: str) -> None:
    with (
        peer(
            serving(lambda http2, call: http2.head(call, ("content-length", "7"), end=True, status=status))
        ) as backend,
        a_client(backend.url) as client,
    ):
        reply = client.call(a_head(method), limit=LIMIT)
        assert read(reply) == (b"", End())
    assert reply.head.length == 7


# Many at a time


def test_all_calls_share_one_connection() -> None:
    together = threading.Barrier(8)

    def play(http2: Http2Wire) -> None:
        calls = [http2.next_call() for _ in range(8)]
        for call in reversed(calls):
            http2.answer(call, (call.get(":path") or "").encode())

    with peer(scripted(play)) as backend, a_client(backend.url) as client, ThreadPoolExecutor(8) as threads:

        def call(number: int) -> bytes:
            together.wait(LIMIT)
            return read(client.call(a_head(target=f"/{number}"), limit=LIMIT))[0]

        assert list(threads.map(call, range(8))) == [f"/{number}".encode() for number in range(8)]
    assert backend.accepted == 1


def test_no_more_streams_are_opened_than_the_server_allows() -> None:
    most = 0

    def handle(http2: Http2Wire, call: Call) -> None:
        nonlocal most
        most = max(most, http2.h2.open_inbound_streams)
        greet(http2, call)

    with (
        peer(serving(handle, MAX_CONCURRENT_STREAMS=1)) as backend,
        a_client(backend.url) as client,
        ThreadPoolExecutor(24) as threads,
    ):
        replies = threads.map(lambda _: read(client.call(a_head(), limit=LIMIT))[0], range(100))
        assert list(replies) == [b"hello"] * 100
    assert most == 1
    assert backend.accepted <= MAX_CONNECTIONS


def test_a_call_that_finds_no_free_stream_is_timed_out() -> None:
    def play(http2: Http2Wire) -> None:
        http2.head(http2.next_call())

    with peer(scripted(play, MAX_CONCURRENT_STREAMS=1)) as backend, a_client(backend.url) as client:
        held = [client.call(a_head(), limit=LIMIT) for _ in range(MAX_CONNECTIONS)]
        with pytest.raises(TimedOut, match="no free stream"):
            client.call(a_head(), limit=0.1 * SECOND)
        for reply in held:
            reply.close()


def test_an_answer_that_nobody_reads_stops_neither_the_others_nor_grows_without_bound() -> None:
    sent = 0
    is_going_on = threading.Event()

    def play(http2: Http2Wire) -> None:
        nonlocal sent
        first = http2.next_call()
        http2.head(first)
        while size := min(http2.h2.local_flow_control_window(first.stream_id), 16384):
            http2.data(first, b"x" * size)
            sent += size
        is_going_on.set()
        while True:
            greet(http2, http2.next_call())

    with peer(scripted(play)) as backend, a_client(backend.url) as client:
        unread = client.call(a_head(), limit=LIMIT)
        assert is_going_on.wait(LIMIT)
        for _ in range(20):
            assert read(client.call(a_head(), limit=LIMIT))[0] == b"hello"
        unread.close()
    assert (sent, backend.accepted) == (STREAM_BYTES, 1)


def test_answers_that_are_given_up_do_not_use_up_the_connection() -> None:
    """Their bytes count against the window of the connection, which is 32 MiB."""

    def handle(http2: Http2Wire, call: Call) -> None:
        if call.get(":path") == "/short":
            http2.answer(call, b"x" * 200_000)
            return
        http2.head(call)
        http2.data(call, b"x" * 200_000)

    with peer(serving(handle)) as backend, a_client(backend.url) as client:
        for number in range(300):
            reply = client.call(a_head(target="/short" if number % 2 else "/long"), limit=LIMIT)
            # What has not come yet when the call is given up, h2 deals with.
            wait_until(lambda: len(reply._stream._body) == 200_000, within=LIMIT, what="the answer", every=0.001)  # noqa: B023
            reply.close()
        assert len(read(client.call(a_head(target="/short"), limit=LIMIT))[0]) == 200_000
    assert backend.accepted == 1


def test_large_bodies_go_both_ways_at_once() -> None:
    def handle_as_it_comes(wire: Wire) -> None:
        http2 = Http2Wire(wire)
        call = http2.next_head()
        http2.head(call)
        while not call.is_whole:
            if call.body:
                data = bytes(call.body)
                call.body.clear()
                http2.data(call, data)
            elif not call.is_whole:
                http2.read()
        http2.data(call, bytes(call.body), end=True)
        http2.until_ended()

    piece = bytes(range(256)) * 256
    with peer(handle_as_it_comes) as backend, a_client(backend.url) as client:
        body = streamed(*[piece] * 100, End())
        reply = client.call(a_head("POST", length=len(piece) * 100), body, limit=LIMIT)
        assert read(reply)[0] == piece * 100


def test_a_server_that_takes_no_body_holds_the_sender_back() -> None:
    pulled = 0

    def pieces() -> Iterator[bytes | End]:
        nonlocal pulled
        while True:
            pulled += 1
            yield b"x" * 16384

    def play(http2: Http2Wire) -> None:
        http2.consumes = False
        http2.next_head()

    with peer(scripted(play)) as backend, a_client(backend.url) as client, ThreadPoolExecutor(1) as threads:
        body = Body(pieces(), abandon=lambda: None)
        calling = threads.submit(client.call, a_head("POST", length=CHUNKED), body, limit=0.5 * SECOND)
        with pytest.raises(TransportError):
            calling.result(LIMIT)
    assert pulled <= 65_535 // 16384 + 2


# Answers that are none


@pytest.mark.parametrize(
    "fields",
    [
        [("content-length", "3"), ("content-length", "4")],
        [("Upper-Case", "x")],
        [("connection", "close")],
        [("transfer-encoding", "chunked")],
        [(":path", "/")],
        [("x", "a\r\nb: c")],
        [("x\r\ny", "a")],
        [("x y", "a")],
        [("", "a")],
    ],
)
def test_a_malformed_answer_is_broken_and_the_connection_goes_on(fields: list[tuple[str, str]]) -> None:
    def handle(http2: Http2Wire, call: Call) -> None:
        if call.get(":path") == "/bad":
            # By hand: h2 would not say this.
            frame = HeadersFrame(call.stream_id, http2.h2.encoder.encode([(":status", "200"), *fields]))
            frame.flags.add("END_HEADERS")
            http2.wire.send(frame.serialize())
        else:
            greet(http2, call)

    with peer(serving(handle)) as backend, a_client(backend.url) as client:
        if "content-length" not in dict(fields):
            with pytest.raises(Broken):
                client.call(a_head(target="/bad"), limit=LIMIT)
            assert read(client.call(a_head(), limit=LIMIT))[0] == b"hello"
            assert backend.accepted == 1
        else:
            with pytest.raises(TransportError):
                client.call(a_head("POST", "/bad"), limit=LIMIT)


@pytest.mark.parametrize(("size", "is_taken"), [(65_535, True), (65_536, True), (65_537, False)])
@pytest.mark.parametrize("count", [1, 500])
def test_the_fields_of_an_answer_have_a_limit_and_the_connection_goes_on(count: int, size: int, is_taken: bool) -> None:
    # RFC 9113 section 6.5.2: 32 bytes for each field beside its name and value, `:status` among them.
    small = [("a", "x")] * (count - 1)
    left = size - sum(len(name) + len(value) + 32 for name, value in [(":status", "200"), *small, ("b", "")])
    fields = [*small, ("b", "x" * left)]

    def handle(http2: Http2Wire, call: Call) -> None:
        http2.answer(call, b"hello", *(fields if call.get(":path") == "/long" else []))

    with peer(serving(handle)) as backend, a_client(backend.url) as client:
        if is_taken:
            assert read(client.call(a_head(target="/long"), limit=LIMIT))[0] == b"hello"
        else:
            with pytest.raises(Broken, match="fields over 65536 bytes"):
                client.call(a_head(target="/long"), limit=LIMIT)
        assert read(client.call(a_head(), limit=LIMIT))[0] == b"hello"
        assert backend.accepted == 1


@pytest.mark.parametrize("length", ["3", "7"])
def test_a_body_of_another_length_than_announced_is_never_whole(length: str) -> None:
    def handle(http2: Http2Wire, call: Call) -> None:
        http2.head(call, ("content-length", length))
        http2.data(call, b"hello")
        http2.trailers(call, ("x-sum", "1"))

    with peer(serving(handle)) as backend, a_client(backend.url) as client, pytest.raises(Broken):
        read(client.call(a_head("POST"), limit=LIMIT))


def test_an_answer_that_is_reset_is_never_whole() -> None:
    def handle(http2: Http2Wire, call: Call) -> None:
        http2.head(call)
        http2.data(call, b"hel")
        http2.h2.reset_stream(call.stream_id, ErrorCodes.INTERNAL_ERROR)
        http2.flush()

    with peer(serving(handle)) as backend, a_client(backend.url) as client:
        reply = client.call(a_head(), limit=LIMIT)
        with pytest.raises(Broken, match="INTERNAL_ERROR"):
            read(reply)


def test_a_connection_that_ends_within_an_answer_leaves_it_broken() -> None:
    def serve(wire: Wire) -> None:
        http2 = Http2Wire(wire)
        call = http2.next_call()
        http2.head(call)
        http2.data(call, b"hel")

    with peer(serve) as backend, a_client(backend.url) as client:
        reply = client.call(a_head(), limit=LIMIT)
        with pytest.raises(Broken):
            read(reply)


def test_a_server_that_says_nothing_is_timed_out_and_told() -> None:
    resets: list[ErrorCodes | int | None] = []

    def play(http2: Http2Wire) -> None:
        http2.next_call()
        while not http2.resets:
            http2.read()
        resets.append(http2.resets[0].error_code)

    with peer(scripted(play)) as backend, a_client(backend.url) as client:
        with pytest.raises(TimedOut):
            client.call(a_head(), limit=0.2 * SECOND)
        wait_until(lambda: resets, within=LIMIT, what="the stream reset")
    assert resets == [ErrorCodes.CANCEL]


def test_a_body_that_stalls_is_timed_out() -> None:
    def handle(http2: Http2Wire, call: Call) -> None:
        http2.head(call)
        http2.data(call, b"hel")

    with peer(serving(handle)) as backend, a_client(backend.url) as client:
        reply = client.call(a_head(), limit=0.3 * SECOND)
        with pytest.raises(TimedOut):
            read(reply)


# Requests that are sent again, and those that must not be


def refusing(http2: Http2Wire) -> None:
    call = http2.next_call()
    http2.h2.reset_stream(call.stream_id, ErrorCodes.REFUSED_STREAM)
    http2.flush()
    greet(http2, http2.next_call())


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refused_request_is_sent_again_whatever_it_is(method: str) -> None:
    with peer(scripted(refusing)) as backend, a_client(backend.url) as client:
        assert read(client.call(a_head(method), b"body", limit=LIMIT))[0] == b"hello"
    assert backend.accepted == 1


def test_a_request_that_is_always_refused_fails() -> None:
    count = 0

    def handle(http2: Http2Wire, call: Call) -> None:
        nonlocal count
        count += 1
        http2.h2.reset_stream(call.stream_id, ErrorCodes.REFUSED_STREAM)
        http2.flush()

    with peer(serving(handle)) as backend, a_client(backend.url) as client, pytest.raises(NotProcessed):
        client.call(a_head(), limit=LIMIT)
    assert count == 3


def goaway(http2: Http2Wire, last: int) -> None:
    frame = b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + last.to_bytes(4, "big") + bytes(4)
    http2.wire.send(frame)


def test_a_server_that_goes_away_ends_what_it_has_begun_and_the_rest_goes_to_a_new_connection() -> None:
    def leave(wire: Wire) -> None:
        http2 = Http2Wire(wire)
        first, second = http2.next_call(), http2.next_call()
        http2.head(first)
        goaway(http2, min(first.stream_id, second.stream_id))
        began = min(first, second, key=lambda call: call.stream_id)
        if began is not first:
            http2.head(began)
        http2.data(began, b"x" * 100_000, end=True)
        http2.until_ended()

    with (
        peer(in_turn(leave, serving(greet))) as backend,
        a_client(backend.url) as client,
        ThreadPoolExecutor(2) as threads,
    ):
        bodies = list(threads.map(lambda _: read(client.call(a_head("POST"), b"x", limit=LIMIT))[0], range(2)))
    assert sorted(bodies) == sorted([b"hello", b"x" * 100_000])
    assert backend.accepted == 2


def closing_after_one(record: list[Call]) -> Callable[[Wire], None]:
    def serve(wire: Wire) -> None:
        http2 = Http2Wire(wire)
        record.append(http2.next_call())
        greet(http2, record[-1])
        record.append(http2.next_call())

    return serve


def test_an_idempotent_request_without_an_answer_on_a_used_connection_is_sent_again() -> None:
    seen: list[Call] = []
    with peer(closing_after_one(seen)) as backend, a_client(backend.url) as client:
        assert [read(client.call(a_head(), limit=LIMIT))[0] for _ in range(2)] == [b"hello"] * 2
    assert len(seen) == 3


def test_a_request_that_is_not_idempotent_is_not() -> None:
    seen: list[Call] = []
    with peer(closing_after_one(seen)) as backend, a_client(backend.url) as client:
        read(client.call(a_head("POST"), limit=LIMIT))
        with pytest.raises(NothingReceived):
            client.call(a_head("POST"), limit=LIMIT)
    assert len(seen) == 2


# Bodies that break off, and answers that come early


def test_a_request_body_that_breaks_off_is_reset_and_never_whole() -> None:
    seen: list[Call] = []

    def play(http2: Http2Wire) -> None:
        seen.append(http2.next_head())
        while not http2.resets:
            http2.read()

    def breaking() -> Iterator[bytes | End]:
        yield b"abc"
        raise Broken("the client went away")

    with peer(scripted(play)) as backend, a_client(backend.url) as client:
        with pytest.raises(SourceBroke):
            client.call(a_head("POST", length=CHUNKED), Body(breaking(), abandon=lambda: None), limit=LIMIT)
        wait_until(lambda: seen, within=LIMIT, what="the request")
    assert not seen[0].is_whole


def test_an_answer_before_the_end_of_the_request_is_taken_and_the_rest_given_up() -> None:
    abandoned = threading.Event()

    def endless() -> Iterator[bytes | End]:
        while not abandoned.wait(0.01 * SECOND):
            yield b"x" * 1000

    def play(http2: Http2Wire) -> None:
        http2.answer(http2.next_head(), b"too large", status="413")

    with peer(scripted(play)) as backend, a_client(backend.url) as client:
        reply = client.call(a_head("POST", length=CHUNKED), Body(endless(), abandon=abandoned.set), limit=LIMIT)
        assert (reply.head.status, read(reply)[0]) == (413, b"too large")
    assert abandoned.is_set()


def test_a_waiting_read_ends_when_the_call_is_aborted() -> None:
    with (
        peer(serving(lambda http2, call: http2.head(call))) as backend,
        a_client(backend.url) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        reply = client.call(a_head(), limit=None)
        reading = threads.submit(read, reply)
        reply.abort()
        with pytest.raises(Broken):
            reading.result(LIMIT)


@pytest.mark.parametrize("is_late", [False, True])
def test_a_call_that_is_interrupted_before_its_answer_ends_and_the_server_is_told(is_late: bool) -> None:
    resets: list[ErrorCodes | int | None] = []
    interrupt, begun = Interrupt(), threading.Event()

    def play(http2: Http2Wire) -> None:
        http2.next_call()
        begun.set()
        while not http2.resets:
            http2.read()
        resets.append(http2.resets[0].error_code)

    with peer(scripted(play)) as backend, a_client(backend.url) as client, ThreadPoolExecutor(1) as threads:
        if not is_late:
            interrupt.trigger()
        calling = threads.submit(client.call, a_head(), limit=None, interrupt=interrupt)
        if is_late:
            assert begun.wait(LIMIT)
            interrupt.trigger()
        with pytest.raises(Broken, match="^the call was given up$"):
            calling.result(LIMIT)
        wait_until(lambda: resets, within=LIMIT, what="the stream reset")
    assert resets == [ErrorCodes.CANCEL]


# Peers that do not speak it, or die


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "HTTP/1"),
        (b"220 smtp.example.com ESMTP\r\n", "something else"),
        (b"", "ended the connection"),
    ],
)
def test_a_server_without_http2_is_named_as_such(said: bytes, what: str) -> None:
    def serve(wire: Wire) -> None:
        wire.read_head()
        wire.send(said)

    with peer(serve) as backend, a_client(backend.url) as client, pytest.raises(NotHttp2, match=what):
        client.call(a_head(), limit=LIMIT)


def test_nobody_there_is_unreachable_for_all_who_wait() -> None:
    with peer(lambda wire: None) as backend:
        url = backend.url
    with a_client(url) as client, ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(client.call, a_head(), limit=LIMIT) for _ in range(8)]
        for call in calls:
            with pytest.raises(Unreachable):
                call.result(LIMIT)


def test_a_peer_that_is_dead_is_noticed_by_a_ping() -> None:
    def serve(wire: Wire) -> None:
        Http2Wire(wire).next_call()
        while wire.socket.recv(65536):
            pass

    with peer(serve) as backend:
        changes = threading.Event()
        connection = Http2Connection(
            a_pool(backend.url).take(), on_change=changes.set, silence=0.3 * SECOND, ping_limit=0.3 * SECOND
        )
        connection.wait_until_greeted(LIMIT)
        fields = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"x"), (b":path", b"/")]
        stream = connection.open_stream(fields, method="GET", is_end=True)
        with pytest.raises(TimedOut, match="PING"):
            stream.wait_for_head(lambda: None)
        assert connection.is_over
        connection.close()


def test_a_peer_that_answers_pings_may_take_its_time() -> None:
    pings = 0

    def serve(wire: Wire) -> None:
        nonlocal pings
        http2 = Http2Wire(wire)
        call = http2.next_call()
        while pings < 3:
            pings += type(http2.read()).__name__ == "PingReceived"
        greet(http2, call)
        http2.until_ended()

    with peer(serve) as backend:
        connection = Http2Connection(
            a_pool(backend.url).take(), on_change=lambda: None, silence=0.1 * SECOND, ping_limit=LIMIT
        )
        connection.wait_until_greeted(LIMIT)
        fields = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"x"), (b":path", b"/")]
        stream = connection.open_stream(fields, method="GET", is_end=True)
        assert stream.wait_for_head(lambda: LIMIT).status == 200
        connection.close()
    assert pings == 3


def test_an_idle_connection_is_closed() -> None:
    ended = threading.Event()

    def serve(wire: Wire) -> None:
        try:
            Http2Wire(wire).until_ended()
        finally:
            ended.set()

    with peer(serve) as backend:
        connection = Http2Connection(a_pool(backend.url).take(), on_change=lambda: None, silence=0.1 * SECOND)
        connection.wait_until_greeted(LIMIT)
        assert ended.wait(LIMIT)
        assert connection.capacity == 0
        connection.close()


def test_a_peer_that_pings_without_end_and_reads_nothing_is_left() -> None:
    def serve(wire: Wire) -> None:
        Http2Wire(wire)
        ping = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00" + bytes(8)
        while True:
            wire.send(ping * 1000)

    with peer(serve) as backend:
        connection = Http2Connection(a_pool(backend.url).take(), on_change=lambda: None)
        connection.wait_until_greeted(LIMIT)
        wait_until(lambda: connection.is_over, within=2 * LIMIT, what="the connection left")
        connection.close()
