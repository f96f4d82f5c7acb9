"""The log of an agent at work: no secret is in it, whatever happens, and nobody can forge a line."""

import io
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from agent.backend_client import BackendClient
from agent.exchanges import Exchanges
from agent.identity.credentials import Credentials
from agent.pipeline import answering_failures
from agent.poller import Poller
from agent.proxy.client import AgentIdentity, ProxyClient
from agent.proxy.conversation import Conversation
from agent.seen import SeenIds
from agent.telemetry.logs import LogFormat, configure
from agent.telemetry.record import BackendRecord
from agent.transport.client import HttpClient
from agent.transport.connections import ConnectionPool
from tests import logging_settings
from tests.agent.peers import ProxyPeer, Wire, an_answer, answering, peer, proxy_peer
from tests.timing import SECOND

RAW = (
    b"POST /path%0d%0aforged;\x1b?query=hidden-query HTTP/1.1\r\nHost: example.com\r\nCookie: a=hidden-cookie\r\n"
    b"Authorization: Bearer hidden-bearer\r\nContent-Length: 11\r\n\r\nhidden-body"
).replace(b"\x1b", b"%1b")
SECRETS = ("hidden-query", "hidden-cookie", "hidden-bearer", "hidden-body", "hidden-token", "hidden-set-cookie")
ANSWER = an_answer(b"hidden-body", fields="Set-Cookie: a=hidden-set-cookie\r\nLocation: /?hidden-query\r\n")


class TokenCredentials:
    """A token that must not be logged."""

    def fields(self) -> list[tuple[str, str]]:
        return [("Authorization", "Bearer hidden-token")]

    def refresh(self) -> None: ...


@contextmanager
def logged(log_format: LogFormat, *, is_debugging: bool) -> Iterator[io.StringIO]:
    """What is written; what configuring changes is put back at the end."""
    root, ours = logging.getLogger(), logging.getLogger("agent")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    root.handlers[:] = []
    stream = io.StringIO()
    try:
        with logging_settings.kept():
            configure(log_format, is_debugging=is_debugging, stream=stream)
            yield stream
    finally:
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        ours.setLevel(levels[1])


def log_of(
    log_format: LogFormat,
    serve: Callable[[Wire], None],
    *,
    is_debugging: bool = False,
    prepare: Callable[[ProxyPeer], None] = lambda proxy: None,
) -> str:
    """The log of an agent that answers one request."""
    credentials: Credentials = TokenCredentials()
    drained = threading.Event()
    record = BackendRecord("notebook", now=time.monotonic)
    with (
        logged(log_format, is_debugging=is_debugging) as stream,
        proxy_peer() as proxy,
        peer(serve) as backend,
    ):
        prepare(proxy)
        client = ProxyClient(
            HttpClient(ConnectionPool(proxy.url, size=5, connect_timeout=10.0)),
            url=proxy.url,
            identity=AgentIdentity("notebook", "agent", "test"),
            credentials=credentials,
            poll_limit=None,
            jitter=lambda: 0.5,
            sleep=threading.Event().wait,
            observer=record,
        )
        conversation = Conversation(client)
        handler = answering_failures(BackendClient(backend.url, connections=4, limit=None))
        poller = Poller(
            conversation,
            Exchanges(conversation, handler, forget=lambda _: None, observer=record).run,
            seen=SeenIds(100),
            concurrency=4,
            jitter=lambda: 0.5,
            on_drained=drained.set,
            observer=record,
        )
        proxy.add(RAW, request_id="0123456789abcdef")
        poller.start()
        try:
            proxy.next_post()
        finally:
            poller.stop()
            assert drained.wait(20 * SECOND)
    return stream.getvalue()


def resetting(wire: Wire) -> None:
    wire.read_message()
    wire.reset()


BEHAVIOURS = {
    "answers": answering(ANSWER),
    "resets": resetting,
    "speaks nonsense": answering(b"hidden-body hidden-body\r\n\r\n"),
    "has a wrong field": answering(b"HTTP/1.1 200 OK\r\nSet-Cookie hidden-set-cookie\r\n\r\n"),
    "breaks off": answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhidden-body"),
    "has a wrong chunk": answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhidden-body\r\n"),
}


@pytest.mark.parametrize("is_debugging", [False, True])
@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_there_is_one_line_for_a_request_and_no_secret(
    behaviour: str, log_format: LogFormat, is_debugging: bool
) -> None:
    written = log_of(log_format, BEHAVIOURS[behaviour], is_debugging=is_debugging)
    lines = written.splitlines()
    about = [line for line in lines if "01234567 POST /path%0d%0aforged;%1b " in line]
    assert (len(about), [secret for secret in SECRETS if secret in written]) == (1, [])
    assert "0123456789" not in written
    assert all(" " <= character <= "~" for line in lines for character in line)
    if log_format == "json":
        entry = json.loads(about[0])
        assert (entry["request_id"], entry["httpRequest"]["requestMethod"]) == ("01234567", "POST")
        assert entry["httpRequest"]["status"] == (200 if behaviour == "answers" else 502)


def test_the_proxys_messages_cannot_forge_a_line() -> None:
    """A redirect's target is repeated to the operator."""
    answers = iter([an_answer(status=302, fields="Location: http://x/\xe9forged\r\n")])

    def redirect(wire: Wire, call: object) -> bool:
        raw = next(answers, None)
        if raw is None:
            return False
        wire.send(raw)
        return True

    def prepare(proxy: ProxyPeer) -> None:
        proxy.before = redirect

    written = log_of("text", answering(ANSWER), prepare=prepare)
    assert "redirect to" in written
    assert "forged" in written
    assert all(" " <= character <= "~" for line in written.splitlines() for character in line)
