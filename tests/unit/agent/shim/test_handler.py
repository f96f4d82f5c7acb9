"""open, data, poll and close, over scripted websockets."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from agent.messages import Request, Response, whole_body
from agent.pipeline import Handler
from agent.shim.handler import Shim, ShimOptions, is_same_origin
from agent.shim.mailbox import Finished, Mailbox
from agent.shim.protocol import LOST, Closing, Message
from agent.shim.sessions import Sessions
from agent.transport.errors import Broken, SourceBroke, TimedOut, TransportError, Unreachable
from agent.transport.upload import Body
from wire.headers import Headers
from wire.http1 import CHUNKED, End, RequestHead, ResponseHead
from wire.protocol import RequestId


@dataclass
class ScriptedWebsocket:
    """Takes `room` messages for each call; notes what happens."""

    room: int = 1000
    sent: list[Message] = field(default_factory=list)
    closes: list[tuple[int | None, str]] = field(default_factory=list)
    subprotocol: str = ""
    is_over: bool = False
    mailbox: Mailbox = field(default_factory=lambda: Mailbox(max_messages=10, max_bytes=10_000, on_room=lambda: None))

    def send(self, messages: Sequence[Message], *, timeout: float) -> int:
        if self.mailbox.closing is not None:
            raise Finished(self.mailbox.closing)
        taken = list(messages[: self.room])
        self.sent += taken
        return len(taken)

    def close(self, code: int | None, reason: str, *, told: Closing | None = None) -> None:
        self.closes.append((code, reason))
        self.mailbox.finish(told or Closing(code or 1005, reason, clean=True))

    def abort(self) -> None:
        self.mailbox.finish(LOST)


class Scene:
    """A shim, and what is around it."""

    def __init__(self, *, idle_limit: timedelta = timedelta(seconds=0.02), **options: Any) -> None:
        self.dialled: list[tuple[Request, Sequence[str]]] = []
        self.websockets: list[ScriptedWebsocket] = []
        self.passed: list[str] = []
        self.yields = 0
        self.seconds = 0.0
        self.error: TransportError | None = None
        self.answer = ResponseHead(101, Headers([("Set-Cookie", "a=b"), ("X-Internal", "1")]), None)
        self.sessions = Sessions(most=2, most_each=2, idle_limit=timedelta(seconds=100))
        self.shim = Shim(
            self.inner,
            options=ShimOptions("shim", idle_limit, options.get("adds_headers", False)),
            sessions=self.sessions,
            dial=self.dial,  # type: ignore[arg-type]  # a scripted websocket is as much of a connection as is used
            around=self.around,
            yielding=lambda: self.yielding(),
            now=lambda: self.seconds,
        )

    def inner(self, request: Request) -> Response:
        self.passed.append(request.head.target)
        return Response(ResponseHead(299, Headers(), None), whole_body(b""))

    def around(self, handler: Handler) -> Handler:
        return handler

    @contextmanager
    def yielding(self) -> Iterator[None]:
        self.yields += 1
        yield

    def dial(self, request: Request, offered: Sequence[str]) -> tuple[ResponseHead, ScriptedWebsocket | None]:
        self.dialled.append((request, offered))
        if self.error is not None:
            raise self.error
        if self.answer.status != 101:
            return self.answer, None
        self.websockets.append(ScriptedWebsocket())
        return self.answer, self.websockets[-1]

    def call(
        self, target: str, body: object = b"", *, method: str = "POST", user: str = "u", **fields: str
    ) -> tuple[int, Any]:
        raw = body if isinstance(body, bytes | Body) else json.dumps(body).encode()
        given = {"Host": "proxy.example", "X-Websocket-Shim-Version": "1"}
        given |= {name.replace("_", "-"): value for name, value in fields.items()}
        head = RequestHead(method, target, Headers(list(given.items())), CHUNKED)
        self.response = self.shim(Request(RequestId("r"), user, head, raw))
        content = b"".join(event for event in self.response.events if isinstance(event, bytes))
        self.response.close()
        is_json = self.response.head.headers.get("Content-Type") == "application/json"
        return self.response.head.status, json.loads(content) if is_json else content

    def open(self) -> str:
        status, opened = self.call("/shim/open", b"ws://proxy.example/a")
        assert status == 200
        session_id: str = opened["id"]
        return session_id


@pytest.mark.parametrize(
    "target", ["/", "/shim", "/shim/", "/shim/shim.js", "/shim/open/", "/shims/open", "/x/shim/open"]
)
def test_everything_else_goes_on(target: str) -> None:
    scene = Scene()
    assert scene.call(target)[0] == 299
    assert scene.passed == [target]


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS", "post"])
@pytest.mark.parametrize("call", ["open", "data", "poll", "close?x=1"])
def test_only_post_is_answered(method: str, call: str) -> None:
    scene = Scene()
    assert scene.call(f"/shim/{call}", method=method)[0] == 405
    assert (scene.response.head.headers.get("Allow"), scene.passed) == ("POST", [])


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ([], True),
        ([("Sec-Fetch-Site", "same-origin")], True),
        ([("Sec-Fetch-Site", "same-origin"), ("Origin", "https://renamed.example")], True),
        ([("Sec-Fetch-Site", "same-site"), ("Origin", "https://proxy.example")], False),
        ([("Sec-Fetch-Site", "cross-site")], False),
        ([("Sec-Fetch-Site", "none")], False),
        ([("Origin", "https://proxy.example")], True),
        ([("Origin", "https://PROXY.example:443")], True),
        ([("Origin", "http://proxy.example:8080")], False),
        ([("Origin", "https://proxy.example.evil.example")], False),
        ([("Origin", "https://sub.proxy.example")], False),
        ([("Origin", "null")], False),
        ([("Origin", "")], False),
        ([("Origin", "file://proxy.example")], False),
        ([("Origin", "https://[")], False),
    ],
)
def test_foreign_pages_are_told_apart(fields: list[tuple[str, str]], same: bool) -> None:
    assert is_same_origin(Headers([("Host", "proxy.example"), *fields])) == same


def test_ports_of_an_origin_count() -> None:
    assert is_same_origin(Headers([("Host", "localhost:8080"), ("Origin", "http://localhost:8080")]))
    assert not is_same_origin(Headers([("Host", "localhost:8080"), ("Origin", "http://localhost:8081")]))


def test_a_foreign_page_opens_nothing() -> None:
    scene = Scene()
    assert scene.call("/shim/open", b"/a", Origin="https://evil.example")[0] == 403
    assert scene.dialled == []


def test_the_handshake_is_a_get_for_the_target_with_the_pages_fields() -> None:
    scene = Scene()
    scene.call("/shim/open", b"ws://x/a?b", Cookie="c", Content_Type="x", X_Websocket_Shim_Protocols="p, q")
    [(request, offered)] = scene.dialled
    assert (request.head.method, request.head.target, request.body, request.user_id) == ("GET", "/a?b", b"", "u")
    assert list(request.head.headers) == [("Host", "proxy.example"), ("Cookie", "c")]
    assert (offered, scene.response.head.headers.get_all("Set-Cookie")) == (("p", "q"), ["a=b"])
    assert "X-Internal" not in scene.response.head.headers


@pytest.mark.parametrize(
    ("error", "status", "failure"),
    [
        (Unreachable("10.0.0.1"), 502, "backend-unreachable"),
        (TimedOut("x"), 504, "backend-timeout"),
        (Broken("x"), 502, "backend-broke"),
    ],
)
def test_a_handshake_that_fails_is_explained_and_leaves_no_session(
    error: TransportError, status: int, failure: str
) -> None:
    scene = Scene()
    scene.error = error
    for _ in range(3):
        answered, said = scene.call("/shim/open", b"/a")
        assert (answered, scene.response.failure, "10.0" in said["error"]) == (status, failure, False)


def test_there_is_an_end_to_how_many_can_be_opened() -> None:
    scene = Scene()
    scene.open()
    scene.open()
    assert (scene.call("/shim/open", b"/a")[0], len(scene.dialled)) == (429, 2)


@pytest.mark.parametrize("call", ["data", "poll", "close"])
@pytest.mark.parametrize("body", [b"", b"x", b"[1]", b'{"id":1}'])
def test_nonsense_is_refused_and_ends_nothing(call: str, body: bytes) -> None:
    scene = Scene()
    scene.open()
    status, said = scene.call(f"/shim/{call}", body)
    assert (status, list(said), scene.websockets[0].closes) == (400, ["error"], [])


@pytest.mark.parametrize(("call", "limit"), [("open", 65536), ("poll", 65536), ("close", 65536), ("data", 16 << 20)])
def test_bodies_have_limits_whole_or_coming(call: str, limit: int) -> None:
    scene = Scene()
    abandoned: list[None] = []
    pieces = iter([b"x" * limit, b"x", b"x"])
    coming = Body((piece for piece in pieces), abandon=lambda: abandoned.append(None))
    assert [scene.call(f"/shim/{call}", body)[0] for body in (b"x" * (limit + 1), coming)] == [413, 413]
    assert (len(abandoned), len(list(pieces))) == (1, 1)


def test_a_body_that_comes_is_read_to_its_end() -> None:
    scene = Scene()
    assert scene.call("/shim/open", Body(iter([b"ws://x", b"/a", End()]), abandon=lambda: None))[0] == 200


def test_a_body_that_breaks_off_is_the_proxys_fault() -> None:
    def broken() -> Iterator[bytes | End]:
        yield b"["
        raise Broken("x")

    with pytest.raises(SourceBroke):
        Scene().call("/shim/data", Body(broken(), abandon=lambda: None))


def test_what_was_taken_is_not_sent_twice() -> None:
    scene = Scene()
    session_id = scene.open()
    batch = [{"id": session_id, "msg": str(number), "n": number} for number in range(4)]
    answers = [scene.call("/shim/data", part)[0] for part in (batch[:2], batch[:2], batch[1:3], batch[:3], batch[3:])]
    assert (answers, scene.websockets[0].sent) == ([200] * 5, ["0", "1", "2", "3"])


def test_a_gap_is_refused() -> None:
    scene = Scene()
    session_id = scene.open()
    status, said = scene.call("/shim/data", [{"id": session_id, "msg": "x", "n": 1}])
    assert (status, said["taken"], scene.websockets[0].sent) == (409, 0, [])


def test_a_backend_without_room_is_waited_for_and_then_said() -> None:
    scene = Scene()
    session_id = scene.open()
    scene.websockets[0].room = 2
    status, said = scene.call("/shim/data", [{"id": session_id, "msg": str(n), "n": n} for n in range(5)])
    assert (status, said["taken"], scene.websockets[0].sent, scene.yields) == (503, 4, ["0", "1", "2", "3"], 1)


def test_messages_of_an_ended_websocket_are_refused_with_its_end() -> None:
    scene = Scene()
    session_id = scene.open()
    scene.websockets[0].mailbox.finish(Closing(4000, "why", clean=True))
    status, said = scene.call("/shim/data", [{"id": session_id, "msg": "x"}])
    assert (status, said["code"], said["reason"], said["clean"]) == (400, 4000, "why", True)


def test_headers_go_into_messages_as_the_backend_would_get_them() -> None:
    scene = Scene(adds_headers=True)
    session_id = scene.open()
    scene.call("/shim/data", [{"id": session_id, "msg": '{"resource":{"headers":{}}}'}], cookie="c")
    assert scene.websockets[0].sent == ['{"resource":{"headers":{"Cookie":"c"}}}']


def test_a_message_that_cannot_be_looked_through_for_headers_is_refused() -> None:
    scene = Scene(adds_headers=True)
    deep = f'{{"resource":{{"headers":{{}}}},"x":{"[" * 100_000}{"]" * 100_000}}}'
    status, said = scene.call("/shim/data", [{"id": scene.open(), "msg": deep}])
    assert (status, "too deep" in said["error"], scene.websockets[0].sent) == (400, True, [])


def test_a_poll_yields_its_slot_and_is_empty_after_half_the_idle_limit() -> None:
    scene = Scene()
    assert scene.call("/shim/poll", {"id": scene.open(), "ack": 0}) == (408, b"")
    assert scene.yields == 1


def test_a_poll_gives_what_came_and_then_the_end() -> None:
    scene = Scene()
    session_id = scene.open()
    scene.websockets[0].mailbox.put("a")
    scene.websockets[0].mailbox.finish(Closing(1000, "", clean=True))
    assert scene.call("/shim/poll", {"id": session_id, "ack": 0}) == (200, ["a"])
    status, said = scene.call("/shim/poll", {"id": session_id, "ack": 1})
    assert (status, said["code"], said["clean"]) == (400, 1000, True)


def test_messages_of_an_answer_that_nobody_read_are_given_again() -> None:
    scene = Scene()
    session_id = scene.open()
    scene.websockets[0].mailbox.put("a")
    body = json.dumps({"id": session_id}).encode()
    head = RequestHead("POST", "/shim/poll", Headers([("Host", "x")]), len(body))
    scene.shim(Request(RequestId("r"), "u", head, body)).close()
    assert scene.call("/shim/poll", {"id": session_id}) == (200, ["a"])


def test_a_page_that_asks_on_and_on_after_the_end_is_slowed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.shim.handler._HELD_SECONDS", 0.01)
    scene = Scene()
    session_id = scene.open()
    scene.websockets[0].mailbox.finish(LOST)
    yields = []
    for body in (
        {"id": session_id},
        {"id": session_id},
        {"id": session_id, "ack": 0},
        {"id": "x"},
        {"id": "x", "ack": 0},
    ):
        before = scene.yields
        assert scene.call("/shim/poll", body)[0] == 400
        yields.append(scene.yields - before)
    assert yields == [1, 2, 1, 1, 0]


def test_a_close_is_passed_on_once() -> None:
    scene = Scene()
    session_id = scene.open()
    assert scene.call("/shim/close", {"id": session_id, "code": 3000, "reason": "x"}) == (200, b"ok")
    status, said = scene.call("/shim/close", {"id": session_id, "code": 3001})
    assert (status, said["code"], scene.websockets[0].closes) == (400, 3000, [(3000, "x")])


def test_a_close_that_has_overtaken_messages_waits_for_them_without_a_slot() -> None:
    scene = Scene()
    session_id = scene.open()
    messages = [{"id": session_id, "msg": str(number), "n": number} for number in range(2)]

    @contextmanager
    def late() -> Iterator[None]:
        scene.yields += 1
        for message in messages:
            assert (scene.websockets[0].closes, scene.call("/shim/data", [message])[0]) == ([], 200)
        yield

    scene.yielding = late  # type: ignore[method-assign]
    assert scene.call("/shim/close", {"id": session_id, "code": 1001, "n": 2}) == (200, b"ok")
    assert (scene.yields, scene.websockets[0].sent) == (1, ["0", "1"])
    assert scene.websockets[0].closes == [(1001, "")]


def test_a_close_that_comes_last_waits_for_nothing() -> None:
    scene = Scene()
    session_id = scene.open()
    scene.call("/shim/data", [{"id": session_id, "msg": "x", "n": 0}])
    assert scene.call("/shim/close", {"id": session_id, "n": 1})[0] == 200
    assert (scene.yields, scene.websockets[0].closes) == (0, [(None, "")])


def test_a_close_does_not_wait_for_long_for_messages_that_never_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.shim.handler._LATE_SECONDS", 0.01)
    scene = Scene()
    assert scene.call("/shim/close", {"id": scene.open(), "n": 1})[0] == 200
    assert (scene.yields, scene.websockets[0].closes) == (1, [(None, "")])


def test_everything_of_another_user_is_unknown() -> None:
    scene = Scene()
    session_id = scene.open()
    for call, body in (("data", [{"id": session_id, "msg": "x"}]), ("poll", {"id": session_id, "ack": 0}),
                       ("close", {"id": session_id})):  # fmt: skip
        mine = scene.call(f"/shim/{call}", body, user="other")
        none = scene.call(f"/shim/{call}", json.loads(json.dumps(body).replace(session_id, "none")), user="other")
        assert (mine, mine[0], mine[1]["code"]) == (none, 400, 1006)
    assert (scene.websockets[0].sent, scene.websockets[0].closes) == ([], [])


def test_idle_websockets_are_closed() -> None:
    scene = Scene()
    session_id = scene.open()
    scene.seconds = 100.0
    scene.shim.sweep()
    assert scene.websockets[0].closes[0][0] == 1001
    assert scene.call("/shim/poll", {"id": session_id, "ack": 0})[1]["code"] == 1001


def test_stopping_closes_all_and_opens_none() -> None:
    scene = Scene(idle_limit=timedelta(hours=1))
    session_id = scene.open()
    scene.shim.stop()
    assert scene.websockets[0].closes == [(1001, "the agent stops")]
    assert scene.call("/shim/poll", {"id": session_id, "ack": 0})[1]["code"] == 1001
    assert scene.call("/shim/open", b"/a")[0] == 503
    before = scene.shim.is_stopped
    scene.websockets[0].is_over = True
    assert (before, scene.shim.is_stopped) == (False, True)


@pytest.mark.parametrize("call", ["open", "data", "poll", "close"])
def test_no_answer_is_kept_by_anybody(call: str) -> None:
    scene = Scene()
    scene.call(f"/shim/{call}", b"/a")
    assert scene.response.head.headers.get("Cache-Control") == "no-store"
    assert scene.response.head.headers.get("X-Content-Type-Options") == "nosniff"
