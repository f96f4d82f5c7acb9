"""Backends over TLS: who is believed, what is shown, and what is agreed on."""

import logging
import ssl
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from agent.backend_client import BackendClient
from agent.messages import Request
from agent.transport.errors import Broken, NotHttp2, TlsFailed, Unreachable
from agent.transport.tls import Tls
from agent.transport.upload import Body
from tests.agent.certificates import Authority
from tests.agent.http2_peer import Call, Http2Wire, serving
from tests.agent.peers import Wire, an_answer, answering, peer
from tests.timing import SECOND
from wire.headers import Headers
from wire.http1 import CHUNKED, End, RequestHead
from wire.protocol import RequestId

NAME = "backend.test"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def trusted(authority: Authority) -> Tls:
    return Tls(ca_file=str(authority.file))


@pytest.fixture
def server_side(authority: Authority) -> ssl.SSLContext:
    """A server that is 127.0.0.1."""
    return serving_as(authority.issue("127.0.0.1"))


@pytest.fixture
def named_side(authority: Authority) -> ssl.SSLContext:
    """A server that is `backend.test`, wherever it is."""
    return serving_as(authority.issue(NAME))


def serving_as(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def call(url: str, tls: Tls, body: bytes | Body = b"", *, is_http2: bool = False) -> bytes:
    client = BackendClient(url, connections=1, limit=timedelta(seconds=10 * SECOND), tls=tls, is_http2=is_http2)
    head = RequestHead("POST", "/", Headers([("Host", "x")]), None if isinstance(body, bytes) else CHUNKED)
    with closing(client), closing(client(Request(RequestId("id"), "", head, body))) as response:
        return b"".join(event for event in response.events if isinstance(event, bytes))


HELLO = answering(an_answer(b"hello"))


def greet(http2: Http2Wire, call: Call) -> None:
    http2.answer(call, b"hello")


@pytest.fixture(params=[False, True], ids=["http1", "http2"])
def is_http2(request: pytest.FixtureRequest) -> bool:
    """The rules are the same for both."""
    chosen: bool = request.param
    return chosen


@pytest.fixture
def hello(is_http2: bool, server_side: ssl.SSLContext, named_side: ssl.SSLContext) -> Callable[[Wire], None]:
    if is_http2:
        server_side.set_alpn_protocols(["h2"])
        named_side.set_alpn_protocols(["h2"])
        return serving(greet)
    return HELLO


def test_a_certificate_of_a_trusted_authority_is_accepted(
    hello: Callable[[Wire], None], server_side: ssl.SSLContext, trusted: Tls, is_http2: bool
) -> None:
    with peer(hello, server_side) as server:
        assert call(server.url, trusted, is_http2=is_http2) == b"hello"


def test_an_unknown_certificate_is_refused(
    hello: Callable[[Wire], None], server_side: ssl.SSLContext, is_http2: bool
) -> None:
    with peer(hello, server_side) as server, pytest.raises(TlsFailed, match="certificate"):
        call(server.url, Tls(), is_http2=is_http2)


def test_a_certificate_for_another_name_is_refused(
    hello: Callable[[Wire], None], named_side: ssl.SSLContext, trusted: Tls, is_http2: bool
) -> None:
    with peer(hello, named_side) as server, pytest.raises(TlsFailed, match="127.0.0.1|match"):
        call(server.url, trusted, is_http2=is_http2)


def test_the_name_to_ask_for_and_to_find_may_be_given(
    hello: Callable[[Wire], None], named_side: ssl.SSLContext, authority: Authority, is_http2: bool
) -> None:
    asked: list[str | None] = []
    named_side.sni_callback = lambda connection, name, context: asked.append(name)
    tls = Tls(ca_file=str(authority.file), server_name=NAME)
    with peer(hello, named_side) as server:
        assert call(server.url, tls, is_http2=is_http2) == b"hello"
    assert asked == [NAME]


def test_a_given_name_that_the_certificate_does_not_have_is_refused(
    hello: Callable[[Wire], None], server_side: ssl.SSLContext, authority: Authority, is_http2: bool
) -> None:
    tls = Tls(ca_file=str(authority.file), server_name=NAME)
    with peer(hello, server_side) as server, pytest.raises(TlsFailed, match="match|valid for"):
        call(server.url, tls, is_http2=is_http2)


def test_without_verification_everything_is_accepted_and_the_log_says_so_once(
    hello: Callable[[Wire], None], named_side: ssl.SSLContext, is_http2: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with peer(hello, named_side) as server, caplog.at_level(logging.WARNING):
        assert call(server.url, Tls(verifies=False), is_http2=is_http2) == b"hello"
    assert [record.message for record in caplog.records if "not verified" in record.message] == [
        f"the certificate of the backend {server.url} is not verified: anybody on the way can be it"
    ]


@pytest.mark.parametrize("is_split", [False, True])
def test_a_client_certificate_is_shown(
    hello: Callable[[Wire], None], server_side: ssl.SSLContext, authority: Authority, is_split: bool, is_http2: bool
) -> None:
    server_side.verify_mode = ssl.CERT_REQUIRED
    server_side.load_verify_locations(authority.file)
    own = authority.issue("agent.test", is_split=is_split)
    key = str(own.with_suffix(".key")) if is_split else None
    tls = Tls(ca_file=str(authority.file), client_certificate=str(own), client_key=key)
    with peer(hello, server_side) as server:
        assert call(server.url, tls, is_http2=is_http2) == b"hello"


def test_without_a_client_certificate_a_server_that_asks_for_one_fails_the_call(
    hello: Callable[[Wire], None], server_side: ssl.SSLContext, trusted: Tls, authority: Authority, is_http2: bool
) -> None:
    server_side.verify_mode = ssl.CERT_REQUIRED
    server_side.load_verify_locations(authority.file)
    with peer(hello, server_side) as server, pytest.raises((Broken, Unreachable, NotHttp2)):
        call(server.url, trusted, is_http2=is_http2)


def test_a_file_that_is_not_there_is_known_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="none.pem"):
        BackendClient("https://x", connections=1, limit=None, tls=Tls(ca_file=str(tmp_path / "none.pem")))


def test_both_directions_may_be_busy_at_once(server_side: ssl.SSLContext, trusted: Tls) -> None:
    piece = b"x" * 65536

    def echo(wire: Wire) -> None:
        message = wire.read_head()
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in wire.read_pieces(message):
            wire.send(b"%x\r\n%b\r\n" % (len(part), part))
        wire.send(b"0\r\n\r\n")

    body = Body(iter([*[piece] * 200, End()]), abandon=lambda: None)
    with peer(echo, server_side) as server:
        assert len(call(server.url, trusted, body)) == 200 * 65536


def test_both_directions_of_http2_may_be_busy_at_once(server_side: ssl.SSLContext, trusted: Tls) -> None:
    server_side.set_alpn_protocols(["h2"])
    piece = bytes(range(256)) * 256

    def echo(http2: Http2Wire, call: Call) -> None:
        http2.answer(call, bytes(call.body))

    body = Body(iter([*[piece] * 50, End()]), abandon=lambda: None)
    with peer(serving(echo), server_side) as server:
        assert call(server.url, trusted, body, is_http2=True) == piece * 50


# What is agreed on


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="clear-text"),
        pytest.param(b"\x15\x03\x03\x00\x02\x02\x46", id="protocol-version"),  # RFC 8446 section 6.2
    ],
)
def test_a_server_without_tls_that_we_speak_is_told_from_one_that_is_not_there(said: bytes, is_http2: bool) -> None:
    def serve(wire: Wire) -> None:
        wire.socket.recv(65536)
        wire.send(said)

    with peer(serve) as server, pytest.raises(TlsFailed):
        call(server.url.replace("http:", "https:"), Tls(), is_http2=is_http2)


def test_nobody_who_listens_is_no_failure_of_tls(is_http2: bool) -> None:
    with pytest.raises(Unreachable) as caught:
        call("https://127.0.0.1:1", Tls(), is_http2=is_http2)
    assert type(caught.value) is Unreachable


def test_a_server_that_offers_no_http2_is_named_as_such(server_side: ssl.SSLContext, trusted: Tls) -> None:
    with peer(HELLO, server_side) as server, pytest.raises(NotHttp2, match="does not offer HTTP/2"):
        call(server.url, trusted, is_http2=True)


def test_so_is_one_that_refuses_the_handshake_for_it(server_side: ssl.SSLContext, trusted: Tls) -> None:
    """Python's server goes on without an agreement; this one ends the handshake with the alert that others send."""

    def serve(wire: Wire) -> None:
        wire.socket.recv(65536)
        wire.send(b"\x15\x03\x03\x00\x02\x02\x78")  # fatal, no_application_protocol: RFC 7301 section 3.2

    with peer(serve) as server, pytest.raises(NotHttp2, match="does not offer HTTP/2"):
        call(server.url.replace("http:", "https:"), trusted, is_http2=True)


@pytest.mark.parametrize("is_forced", [False, True])
def test_a_socket_for_websockets_agrees_on_http1_even_with_http2_forced(
    server_side: ssl.SSLContext, trusted: Tls, is_forced: bool
) -> None:
    server_side.set_alpn_protocols(["h2", "http/1.1"])
    with peer(HELLO, server_side) as server:
        client = BackendClient(server.url, connections=1, limit=None, tls=trusted, is_http2=is_forced)
        with client.connect() as connected:
            assert isinstance(connected, ssl.SSLSocket)
            assert (connected.selected_alpn_protocol(), connected.gettimeout()) == ("http/1.1", None)
            connected.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert connected.recv(65536).startswith(b"HTTP/1.1 200")
