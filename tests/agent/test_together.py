"""Requests that come together: in one thread, over connections that are idle, and none waits for another."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from agent.composition import build_service
from agent.service import Reports
from agent.settings.load import load_settings
from tests.agent.batch_proxy import BatchProxy, an_entry, batch_proxy
from tests.agent.peers import Peer, Received, Wire, an_answer, peer
from tests.timing import SECOND
from wire.http1 import ResponseHead, ResponseParser

CHUNKED = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"


def raw(target: str, *, method: str = "GET", body: bytes = b"") -> bytes:
    framing = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {target} HTTP/1.1\r\nHost: x\r\n{framing}\r\n".encode() + body


class Backend:
    """Answers with the target, but what its `odd` paths say; notes how many connections it has had."""

    def __init__(self, **odd: Callable[[Wire, Received], None]) -> None:
        self.odd = odd
        self.seen: list[str] = []

    def __call__(self, wire: Wire) -> None:
        while True:
            message = wire.read_message()
            self.seen.append(message.target)
            answer = self.odd.get(message.target[1:])
            if answer is None:
                wire.send(an_answer(message.target.encode()))
            else:
                answer(wire, message)


@contextmanager
def an_agent(proxy: BatchProxy, backend: Peer, *flags: str) -> Iterator[None]:
    """An agent with five idle connections to its backend."""
    arguments = [f"--proxy={proxy.url}", "--backend=notebook", f"--host={backend.url}", "--credentials=none", *flags]
    drained = threading.Event()
    settings = load_settings(arguments, {})
    reports = Reports(drained=drained.set, died=pytest.fail, unhealthy=pytest.fail)
    service = build_service(settings.agents[0], settings.google, reports)
    service.start()
    warm = [f"warm-{number}" for number in range(5)]
    proxy.hand_out(*(an_entry(name, raw("/wait")) for name in warm))
    for name in warm:
        proxy.answer_to(name)
    try:
        yield
    finally:
        service.stop()
        assert drained.wait(20 * SECOND)


def all_together() -> Callable[[Wire, Received], None]:
    """An answer that five requests have to wait for, so that they need five connections."""
    barrier = threading.Barrier(5)

    def wait(wire: Wire, message: Received) -> None:
        barrier.wait(10 * SECOND)
        wire.send(an_answer())

    return wait


def parsed(answer: bytes, method: str = "GET") -> tuple[int, bytes, str]:
    """Status, body, and why the agent made it itself."""
    parser = ResponseParser(method)
    head, *rest = [*parser.feed(answer), *parser.close()]
    assert isinstance(head, ResponseHead)
    body = b"".join(event for event in rest if isinstance(event, bytes))
    return head.status, body, head.headers.get("X-Inverting-Proxy-Error") or ""


def test_they_are_answered_over_the_connections_that_there_are_and_posted_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("_PATIENCE", "_MORE_PATIENCE"):
        monkeypatch.setattr(f"agent.together.{name}", 5000)  # however busy this machine is
    names = [f"/{number}" for number in range(5)]
    with batch_proxy() as proxy, peer(Backend(wait=all_together())) as backend, an_agent(proxy, backend):
        proxy.hand_out(*(an_entry(name, raw(name)) for name in names))
        assert [parsed(proxy.answer_to(name)) for name in names] == [(200, name.encode(), "") for name in names]
        assert (backend.accepted, sorted(proxy.posts[-1])) == (5, names)


def test_one_that_is_slow_keeps_nobody_waiting() -> None:
    proceed = threading.Event()

    def slow(wire: Wire, message: Received) -> None:
        assert proceed.wait(10 * SECOND)
        wire.send(an_answer(b"late"))

    backend = Backend(wait=all_together(), slow=slow)
    with batch_proxy() as proxy, peer(backend) as running, an_agent(proxy, running):
        proxy.hand_out(*(an_entry(name, raw(f"/{name}")) for name in ("slow", "a", "b")))
        assert [parsed(proxy.answer_to(name))[1] for name in "ab"] == [b"/a", b"/b"]
        proceed.set()
        assert parsed(proxy.answer_to("slow")) == (200, b"late", "")


@pytest.mark.parametrize(("method", "reason", "times"), [("GET", "", 2), ("PUT", "", 2), ("POST", "backend-broke", 1)])
def test_a_connection_that_was_closed_meanwhile_is_replaced_if_the_request_may_be_repeated(
    method: str, reason: str, times: int
) -> None:
    backend = Backend(wait=all_together())

    def hang_up_once(wire: Wire, message: Received) -> None:
        backend.odd["odd"] = lambda wire, message: wire.send(an_answer(b"again"))
        wire.socket.close()

    backend.odd["odd"] = hang_up_once
    with batch_proxy() as proxy, peer(backend) as running, an_agent(proxy, running):
        proxy.hand_out(an_entry("a", raw("/a")), an_entry("odd", raw("/odd", method=method)))
        status, body, why = parsed(proxy.answer_to("odd"), method)
        assert (status, why, backend.seen.count("/odd")) == (502 if reason else 200, reason, times)
        assert parsed(proxy.answer_to("a"))[1] == b"/a"


def test_what_is_no_answer_is_answered_for() -> None:
    backend = Backend(wait=all_together(), odd=lambda wire, message: wire.send(b"nonsense\r\n\r\n"))
    with batch_proxy() as proxy, peer(backend) as running, an_agent(proxy, running):
        proxy.hand_out(an_entry("a", raw("/a")), an_entry("odd", raw("/odd")))
        assert parsed(proxy.answer_to("odd"))[::2] == (502, "backend-broke")
        assert parsed(proxy.answer_to("a"))[0] == 200
        assert proxy.failures == {"a": "", "odd": "backend-broke"} | {f"warm-{number}": "" for number in range(5)}


def in_pieces(wire: Wire, message: Received) -> None:
    for piece in (b"HTTP/1.1 200 X\r\nContent-Le", b"ngth: 6\r\n\r\nabc", b"def"):
        wire.send(piece)
        threading.Event().wait(0.01 * SECOND)


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (in_pieces, b"abcdef"),
        (lambda wire, message: wire.send(an_answer(b"x" * 300_000)), b"x" * 300_000),
        (lambda wire, message: wire.send(CHUNKED), b"abc"),
        (lambda wire, message: (wire.send(b"HTTP/1.0 200 X\r\n\r\nabc"), wire.socket.close()), b"abc"),
    ],
    ids=["in pieces", "large", "chunked", "to the end of the connection"],
)  # fmt: skip
def test_what_does_not_come_at_once_or_is_not_small_arrives_all_the_same(
    answer: Callable[[Wire, Received], None], body: bytes
) -> None:
    backend = Backend(wait=all_together(), odd=answer)
    with batch_proxy() as proxy, peer(backend) as running, an_agent(proxy, running):
        proxy.hand_out(an_entry("odd", raw("/odd")), an_entry("a", raw("/a")))
        assert parsed(proxy.answer_to("a"))[1] == b"/a"
        assert parsed(proxy.answer_to("odd")) == (200, body, "")


def test_what_takes_time_to_send_goes_its_own_way() -> None:
    body = b"x" * 100_000
    seen: list[bytes] = []

    def take(wire: Wire, message: Received) -> None:
        seen.append(bytes(message.body))
        wire.send(an_answer(b"taken"))

    backend = Backend(wait=all_together(), odd=take)
    with batch_proxy() as proxy, peer(backend) as running, an_agent(proxy, running):
        proxy.hand_out(an_entry("a", raw("/a")), an_entry("odd", raw("/odd", method="POST", body=body)))
        assert (parsed(proxy.answer_to("odd")), seen) == ((200, b"taken", ""), [body])


def test_those_for_which_no_connection_is_idle_go_their_own_way() -> None:
    names = [f"/{number}" for number in range(8)]
    with batch_proxy() as proxy, peer(Backend(wait=all_together())) as backend, an_agent(proxy, backend):
        proxy.hand_out(*(an_entry(name, raw(name)) for name in names))
        assert [parsed(proxy.answer_to(name))[1] for name in names] == [name.encode() for name in names]
        assert backend.accepted <= 8
