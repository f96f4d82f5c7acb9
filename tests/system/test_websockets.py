"""Native websockets end to end: a client, the stand-alone proxy, an agent, and a server that nobody here wrote."""

import json
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.system.old_agent import OldAgent
from tests.system.shapes import Site, Standalone
from tests.system.websocket_backend import Backend, a_backend
from tests.timing import SECOND, wait_until

MIB: Final = 1 << 20


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with a_backend() as backend:
        yield backend


@pytest.fixture(scope="module")
def proxy(folder: Path) -> Iterator[Standalone]:
    proxy = Standalone(folder)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def site(proxy: Standalone, backend: Backend, folder: Path) -> Iterator[Site]:
    site = Site(proxy, backend.url, backend_id="websockets", folder=folder)
    site.start_agent("--forward-user-id")
    site.wait_until_online()
    yield site
    site.close()


@pytest.fixture
def own_site(backend: Backend, folder: Path) -> Iterator[Site]:
    """A proxy and an agent of the test's own, which it may end."""
    proxy = Standalone(folder)
    site = Site(proxy, backend.url, backend_id="own", folder=folder)
    site.start_agent()
    site.wait_until_online()
    yield site
    site.close()
    proxy.stop()


def opened(site: Site, path: str, **options: Any) -> ClientConnection:
    """A websocket through proxy and agent."""
    url = f"{site.url.replace('http', 'ws', 1)}{path}"
    return connect(url, **{"max_size": None, "ping_interval": None, "compression": None, **options})


MESSAGES: Final = {
    "text": "grüß dich \U0001f600 \x00 \ufffd",
    "every byte": bytes(range(256)),
    "empty text": "",
    "empty binary": b"",
    "1 MiB": random.Random(1).randbytes(MIB),
    "16 MiB": "0123456789abcdef" * MIB,
}


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_a_message_comes_back_as_it_was(site: Site, name: str, compression: str | None) -> None:
    with opened(site, "/echo", compression=compression) as websocket:
        websocket.send(MESSAGES[name])

        assert websocket.recv(60 * SECOND) == MESSAGES[name]


def test_compression_is_what_browser_and_backend_agree_on(site: Site) -> None:
    with opened(site, "/echo", compression="deflate") as compressed, opened(site, "/echo") as plain:
        assert [extension.name for extension in compressed.protocol.extensions] == ["permessage-deflate"]
        assert plain.protocol.extensions == []


@pytest.mark.parametrize(("offered", "chosen"), [(["chat.v1", "chat.v2"], "chat.v2"), (["other"], None), ([], None)])
def test_a_subprotocol_is_what_both_agree_on(site: Site, offered: list[str], chosen: str | None) -> None:
    options = {"subprotocols": offered} if offered else {}
    with opened(site, "/echo", **options) as websocket:
        assert websocket.subprotocol == chosen


def test_fragments_pass_both_ways(site: Site) -> None:
    with opened(site, "/fragments") as websocket:
        websocket.send(["Hallo", " ", "", "Welt"])
        text = list(websocket.recv_streaming())
        websocket.send([b"\x00", b"\xff\xfe"])
        binary = list(websocket.recv_streaming())

    assert ([piece for piece in text if piece], "".join(map(str, text))) == (["Hal", "lo ", "Wel", "t"], "Hallo Welt")
    assert b"".join(binary) == b"\x00\xff\xfe"  # type: ignore[arg-type]


def test_pings_are_answered_by_the_other_end_both_ways(site: Site) -> None:
    with opened(site, "/ping") as websocket:
        pong = websocket.ping(b"from here")
        assert pong.wait(10 * SECOND)
        websocket.send("did mine come?")
        assert websocket.recv(20 * SECOND) == "pong"


CLOSINGS: Final = [(1000, ""), (1000, "done"), (1001, "going away"), (3000, "grün"), (4999, "x" * 123)]


@pytest.mark.parametrize(("code", "reason"), CLOSINGS)
def test_a_close_of_the_backends_arrives_with_code_and_reason(site: Site, code: int, reason: str) -> None:
    with opened(site, f"/close?code={code}&reason={quote(reason)}") as websocket:
        websocket.send("now")
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(20 * SECOND)

    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, reason)
    assert isinstance(closed.value, ConnectionClosedOK) == (code in (1000, 1001))


@pytest.mark.parametrize(("code", "reason"), CLOSINGS)
def test_a_close_of_the_users_arrives_with_code_and_reason(
    site: Site, backend: Backend, code: int, reason: str
) -> None:
    with opened(site, "/echo") as websocket:
        websocket.close(code, reason)

    wait_until(lambda: (code, reason) in backend.ends, within=10 * SECOND, what="the end at the backend")
    assert websocket.protocol.close_code == code


def test_a_backend_that_breaks_off_is_a_connection_that_broke(site: Site) -> None:
    with opened(site, "/abort") as websocket:
        websocket.send("now")
        began = time.monotonic()
        with pytest.raises(ConnectionClosedError) as closed:
            websocket.recv(20 * SECOND)

    assert (closed.value.rcvd, time.monotonic() - began < 2 * SECOND) == (None, True)


@pytest.mark.parametrize("is_reset", [False, True])
def test_a_user_who_goes_away_is_gone_at_the_backend(site: Site, backend: Backend, is_reset: bool) -> None:
    backend.ends.clear()
    with opened(site, "/echo") as websocket:
        websocket.send("hi")
        websocket.recv(10 * SECOND)
        if is_reset:
            websocket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            websocket.socket.close()
        websocket.close_socket()

    wait_until(lambda: backend.ends, within=10 * SECOND, what="the end at the backend")
    assert backend.ends == [(1006, "")]


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_backend_that_refuses_is_heard(site: Site, status: int) -> None:
    with pytest.raises(InvalidStatus) as refused, opened(site, f"/refuse?status={status}"):
        pass

    answer = refused.value.response
    assert (answer.status_code, answer.body, answer.headers["Set-Cookie"]) == (status, b"no!", "refused=1")


def test_the_backend_sees_what_the_browser_sent_and_nothing_forged(site: Site) -> None:
    fields = {
        "Cookie": "a=1; b=2",
        "Authorization": "Basic dTpw",
        "X-Inverting-Proxy-User-ID": "root@example.com",
        "X_Inverting_Proxy_Upgrade": "websocket",
        "X-Inverting-Proxy-Backend-ID": "other",
        "X-Forwarded-For": "10.0.0.1",
        "Connection": "X-Hop",
        "X-Hop": "1",
        "Keep-Alive": "5",
    }
    with opened(site, "/fields?q=%2F", additional_headers=fields, origin="https://page.example") as websocket:
        path, pairs = json.loads(websocket.recv(10 * SECOND))

    sent = [(name.lower().replace("_", "-"), value) for name, value in pairs]
    assert path == "/fields?q=%2F"
    assert [value for name, value in sent if name == "origin"] == ["https://page.example"]
    assert [value for name, value in sent if name == "cookie"] == ["a=1; b=2"]
    assert [value for name, value in sent if name == "x-forwarded-for"] == ["127.0.0.1"]
    assert [value for name, value in sent if name == "host"] == [site.url.removeprefix("http://")]
    assert not [name for name, _ in sent if name.startswith(("x-inverting-proxy-", "x-hop", "keep-alive"))]
    assert [value for name, value in sent if name in ("connection", "upgrade")] == ["Upgrade", "websocket"]


def test_ten_thousand_mixed_messages_arrive_in_order_both_ways(site: Site) -> None:
    chance = random.Random(7)
    messages: list[str | bytes] = [
        f"{number} " + "ä" * chance.randrange(40) if number % 2 else chance.randbytes(chance.randrange(200))
        for number in range(10_000)
    ]
    received: list[str | bytes] = []
    with opened(site, "/echo", compression="deflate") as websocket:

        def read() -> None:
            while len(received) < len(messages):
                received.append(websocket.recv(60 * SECOND))

        reader = threading.Thread(target=read)
        reader.start()
        for message in messages:
            websocket.send(message)
        reader.join(90 * SECOND)

    assert received == messages


def test_a_user_who_does_not_read_stops_the_backend_and_memory_stays_bounded(site: Site, proxy: Standalone) -> None:
    size, count = MIB, 64
    with opened(site, f"/flood?n={count}&size={size}", max_queue=1) as websocket:
        before = proxy.process.memory, site.agents[0].memory
        grown = [0, 0]
        for _ in range(20):
            time.sleep(0.1)
            now = proxy.process.memory, site.agents[0].memory
            grown = [max(most, after - start) for most, after, start in zip(grown, now, before, strict=True)]
        received = sum(len(websocket.recv(20 * SECOND)) for _ in range(count))

    assert received == size * count
    assert max(grown) < 8 * MIB, grown


def test_a_backend_that_does_not_read_stops_the_user_and_memory_stays_bounded(
    site: Site, proxy: Standalone, backend: Backend
) -> None:
    total, taken = 64 * MIB, 0
    with opened(site, "/stall") as websocket:
        before = proxy.process.memory, site.agents[0].memory
        sender = threading.Thread(target=lambda: [websocket.send(b"x" * MIB) for _ in range(total // MIB)])
        sender.start()
        sender.join(2 * SECOND)
        was_stopped = sender.is_alive()
        grown = [
            after - start for after, start in zip((proxy.process.memory, site.agents[0].memory), before, strict=True)
        ]
        backend.go_on()
        sender.join(60 * SECOND)
        wait_until(lambda: len(backend.received) == total // MIB, within=60 * SECOND, what="everything read")
        taken = sum(map(len, backend.received))

    assert (was_stopped, taken) == (True, total)
    assert max(grown) < 8 * MIB, grown


def test_five_hundred_idle_websockets_are_alive_and_cost_little_memory_and_no_threads(
    site: Site, proxy: Standalone
) -> None:
    count, processes = 500, (proxy.process, site.agents[0])
    with ExitStack() as stack:
        before = [process.memory for process in processes]
        websockets = [stack.enter_context(opened(site, "/echo")) for _ in range(count)]
        grown = [process.memory - then for process, then in zip(processes, before, strict=True)]
        for number, websocket in enumerate(websockets):
            websocket.send(str(number))
        answers = [websocket.recv(20 * SECOND) for websocket in websockets]
        threads = len(list(Path(f"/proc/{site.agents[0].pid}/task").iterdir()))

    assert answers == [str(number) for number in range(count)]
    assert max(grown) < count * 30_000
    assert threads < 50


def test_an_agent_that_is_killed_ends_its_websockets_at_once(own_site: Site) -> None:
    with opened(own_site, "/echo") as websocket:
        websocket.send("hi")
        websocket.recv(10 * SECOND)
        own_site.agents[0].kill()
        began = time.monotonic()
        with pytest.raises(ConnectionClosedError):
            websocket.recv(20 * SECOND)

    assert time.monotonic() - began < 2 * SECOND


def test_an_agent_that_stops_ends_its_websockets_and_exits_well(own_site: Site, backend: Backend) -> None:
    backend.ends.clear()
    with opened(own_site, "/echo") as websocket:
        websocket.send("hi")
        websocket.recv(10 * SECOND)
        status = own_site.agents[0].stop()
        with pytest.raises(ConnectionClosedError):
            websocket.recv(20 * SECOND)

    wait_until(lambda: backend.ends, within=10 * SECOND, what="the end at the backend")
    assert (status, backend.ends) == (0, [(1006, "")])


def test_a_proxy_that_stops_ends_websockets_and_is_over_soon(own_site: Site, backend: Backend) -> None:
    assert isinstance(own_site.shape, Standalone)
    backend.ends.clear()
    process = own_site.shape.process
    with opened(own_site, "/echo") as websocket:
        websocket.send("hi")
        websocket.recv(10 * SECOND)
        began = time.monotonic()
        status = process.stop()
        with pytest.raises(ConnectionClosedError):
            websocket.recv(20 * SECOND)

    wait_until(lambda: backend.ends, within=10 * SECOND, what="the end at the backend")
    assert (status, time.monotonic() - began < 5 * SECOND) == (0, True)
    [line] = [line for line in process.printed().splitlines() if " /echo 101 " in line]
    assert " 8>4B " in line and line.endswith("backend=own reason=stopping"), line
    assert "Traceback" not in process.printed()


def test_a_backend_with_old_agents_alone_has_no_websockets(folder: Path, backend: Backend) -> None:
    proxy = Standalone(folder)
    agent = OldAgent(proxy.url, backend_id="old", backend_url=backend.url)
    agent.start()
    site = Site(proxy, backend.url, backend_id="old", folder=folder)
    try:
        site.wait_until_online()
        with pytest.raises(InvalidStatus) as refused, opened(site, "/echo"):
            pass
    finally:
        agent.stop()
        proxy.stop()

    answer = refused.value.response
    assert (answer.status_code, answer.headers["X-Inverting-Proxy-Error"]) == (501, "upgrade-not-supported")
