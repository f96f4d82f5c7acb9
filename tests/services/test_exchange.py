"""A user's request through both services, to an agent and back."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder

from tests.factories import a_backend
from tests.services.pair import AGENT, HASTY, USER, Pair, exchanges_in, raw_answer
from wire.headers import Headers
from wire.protocol import REQUEST_ID, START_TIME, USER_ID, parse_start_time


def test_an_answer_comes_back_as_the_backend_gave_it() -> None:
    answered, _ = Pair().ask(raw_answer(201, b"made", ("X-One", "1"), ("X-One", "2"), ("Content-Type", "a/b")))

    assert (answered.status_code, answered.data) == (201, b"made")
    assert list(answered.headers) == [("X-One", "1"), ("X-One", "2"), ("Content-Type", "a/b"), ("Content-Length", "4")]


def test_a_request_arrives_as_the_user_sent_it() -> None:
    _, received = Pair().ask(
        raw_answer(), "/a%2Fb//c/../d?q=%20&q", "PROPFIND", data=b"\x00\xff", headers={"Depth": "1", "X-Empty": ""}
    )

    assert (received.head.method, received.head.target) == ("PROPFIND", "/a%2Fb//c/../d?q=%20&q")
    assert received.head.headers.get("Depth") == "1"
    assert received.head.headers.get("X-Empty") == ""
    assert (received.head.length, received.body) == (2, b"\x00\xff")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "DELETE", "PATCH", "PURGE"])
def test_every_method_reaches_the_backend(method: str) -> None:
    answered, received = Pair().ask(raw_answer(200, b"" if method == "HEAD" else b"x"), "/p", method)

    assert received.head.method == method
    assert answered.status_code == 200


def test_an_agent_is_told_of_the_exchange_in_the_fields_of_the_protocol() -> None:
    pair = Pair()
    with pair.asking() as asked:
        agent = pair.agent()
        request_id = agent.next_id()
        fields = agent.receive(request_id).fields
        agent.post(request_id, raw_answer())
        asked.result()

    assert fields.get("Content-Type") == "application/http; msgtype=request"
    assert fields.get(REQUEST_ID) == request_id
    assert fields.get(USER_ID) == USER
    assert parse_start_time(fields.get(START_TIME) or "") <= pair.clock.now()


def test_nobody_in_particular_has_no_user_field() -> None:
    _, received = Pair(user="").ask(raw_answer())

    assert USER_ID not in received.fields


def test_a_request_id_is_long_and_not_repeated() -> None:
    pair = Pair()
    ids = [pair.ask(raw_answer())[1].fields.get(REQUEST_ID) or "" for _ in range(3)]

    assert len(set(ids)) == 3
    assert min(len(request_id) for request_id in ids) >= 22


def test_forged_fields_of_ours_never_arrive() -> None:
    _, received = Pair().ask(
        raw_answer(),
        headers={"X-Inverting-Proxy-User-Id": "boss@example.com", "X-Appengine-User-Email": "boss@example.com"},
    )

    assert b"boss" not in received.raw


@pytest.mark.parametrize("size", [0, 1, 70_000, 1_000_001, 5_000_000])
def test_bodies_of_any_size_pass_both_ways(size: int) -> None:
    body = bytes(range(251)) * (size // 251 + 1)
    body = body[:size]

    answered, received = Pair().ask(raw_answer(200, body), "/", "POST", data=body)

    assert hashlib.sha256(received.body).digest() == hashlib.sha256(body).digest()
    assert hashlib.sha256(answered.data).digest() == hashlib.sha256(body).digest()


def test_a_chunked_answer_passes_without_its_trailers() -> None:
    answered, _ = Pair().ask(raw_answer(200, b"abc", is_chunked=True, trailers=Headers([("X-Sum", "1")])))

    assert answered.data == b"abc"
    assert "Content-Length" not in answered.headers
    assert "X-Sum" not in answered.headers


def test_the_answer_to_head_keeps_its_length_and_has_no_body() -> None:
    answered, _ = Pair().ask(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", "/", "HEAD")

    assert answered.headers["Content-Length"] == "1234"
    assert answered.data == b""


def test_not_modified_keeps_its_fields() -> None:
    fields = (("ETag", '"x"'), ("Last-Modified", "Tue, 15 Nov 1994 12:45:26 GMT"), ("Content-Location", "/caf%C3%A9"))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    answered, _ = Pair().ask(f"HTTP/1.1 304 Not Modified\r\n{head}\r\n".encode())

    assert answered.status_code == 304
    assert list(answered.headers) == list(fields)


def test_a_redirect_goes_out_as_it_came() -> None:
    answered, _ = Pair().ask(raw_answer(302, b"", ("Location", "/caf\xe9 x")))

    assert answered.headers["Location"] == "/caf\xe9 x"


def test_no_content_has_no_body_and_no_type() -> None:
    answered, _ = Pair().ask(b"HTTP/1.1 204 No Content\r\n\r\n")

    assert (answered.status_code, answered.data, list(answered.headers)) == (204, b"", [])


def test_interim_answers_are_skipped() -> None:
    answered, _ = Pair().ask(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + raw_answer(200, b"final"))

    assert (answered.status_code, answered.data) == (200, b"final")


def test_an_answer_that_is_still_coming_is_delivered_as_it_comes() -> None:
    pair = Pair()
    started: list[object] = []

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], object]:
        started.append(status)
        return started.append  # the write of PEP 3333, which nobody calls

    request = EnvironBuilder("/").get_environ()
    with ThreadPoolExecutor(1) as users:
        asked = users.submit(pair.proxy.wsgi_app, request, start)
        agent = pair.agent()
        request_id = agent.next_id()
        agent.receive(request_id)
        offset = 0
        for piece, expected in ((b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab", b"ab"), (b"cd", b"cd")):
            pair.store_answer(request_id, offset, piece, last=piece == b"cd")
            offset += len(piece)
            body = iter(asked.result())
            assert started == ["200 OK"]
            assert next(body) == expected


def test_nothing_is_left_of_a_delivered_exchange() -> None:
    pair = Pair()
    pair.ask(raw_answer())

    assert exchanges_in(pair.store) == 0


def test_each_of_many_users_gets_the_own_answer() -> None:
    pair, served = Pair(policy=HASTY), set[str]()
    with ThreadPoolExecutor(20) as users, ThreadPoolExecutor(4) as agents:
        asked = {n: users.submit(pair.proxy.test_client().get, f"/{n}") for n in range(20)}

        def serve(name: str) -> None:
            agent = pair.agent(name)
            while len(served) < 20:
                for request_id in agent.poll().get_json():
                    target = agent.receive(request_id).head.target
                    agent.post(request_id, raw_answer(200, target.encode()))
                    served.add(target)

        list(agents.map(serve, "abcd"))
        answers = {n: future.result().data for n, future in asked.items()}

    assert answers == {n: f"/{n}".encode() for n in range(20)}


def test_a_user_reaches_the_own_backend_before_everybodys() -> None:
    pair = Pair()
    mine = a_backend("mine", end_user=USER, backend_user=AGENT)
    pair.store.put_backend(mine)
    pair.store.touch_backend(mine.backend_id, polled=pair.clock.now())
    with pair.asking() as asked:
        pair.agent(backend_id="mine").serve(raw_answer(200, b"mine"))

        assert asked.result().data == b"mine"
