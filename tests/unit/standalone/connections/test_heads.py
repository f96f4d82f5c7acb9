import pytest

from edge.errors import Refusal
from standalone.connections.heads import checked_head
from wire.errors import MalformedMessage
from wire.headers import Headers
from wire.http1 import RequestHead

HOST = (b"Host", b"h")


def head_of(
    *fields: tuple[bytes, bytes], method: bytes = b"GET", version: str = "1.1", upgrade: bool = False
) -> RequestHead:
    return checked_head(method, b"/x?", [HOST, *fields], version=version, server=None, wants_upgrade=upgrade)


def test_a_head_is_kept_as_it_was_sent_and_its_framing_is_no_field() -> None:
    head = head_of((b"x-A", b"\xe9"), (b"content-length", b"12"))

    assert head == RequestHead("GET", "/x?", Headers([("Host", "h"), ("x-A", "\xe9")]), 12)


@pytest.mark.parametrize(
    ("fields", "length"),
    [([], None), ([(b"Content-Length", b"0")], 0), ([(b"Transfer-Encoding", b"Chunked")], "chunked")],
)
def test_the_framing_is_told(fields: list[tuple[bytes, bytes]], length: object) -> None:
    assert head_of(*fields).length == length


@pytest.mark.parametrize(
    "fields",
    [
        [HOST],
        [(b"Content-Length", b"1"), (b"Content-Length", b"1")],
        [(b"Content-Length", b"1"), (b"Transfer-Encoding", b"chunked")],
        [(b"Content-Length", "\u0661".encode())],
        [(b"Content-Length", b"9" * 20)],
        [(b"Transfer-Encoding", b"gzip, chunked")],
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(fields: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(MalformedMessage):
        head_of(*fields)


@pytest.mark.parametrize(("version", "coding"), [("0.9", b""), ("2.0", b""), ("1.0", b"chunked")])
def test_a_version_that_cannot_be_is_refused(version: str, coding: bytes) -> None:
    with pytest.raises(MalformedMessage):
        head_of(*([(b"Transfer-Encoding", coding)] if coding else []), version=version)


@pytest.mark.parametrize(
    ("server", "host"), [(("10.0.0.1", 80), "10.0.0.1:80"), (("::1", 80), "[::1]:80"), (("/run/x", None), "localhost")]
)
def test_a_host_is_asked_for_from_version_1_1_on(server: tuple[str, int | None], host: str) -> None:
    def head_without(version: str) -> RequestHead:
        return checked_head(b"GET", b"/", [(b"A", b"b")], version=version, server=server, wants_upgrade=False)

    assert head_without("1.0").headers == Headers([("Host", host), ("A", "b")])
    with pytest.raises(MalformedMessage, match="^Host: 0 of them, not one$"):
        head_without("1.1")


@pytest.mark.parametrize(("version", "is_heard"), [("1.0", False), ("1.1", True)])
def test_what_an_older_client_cannot_mean_is_ignored(version: str, is_heard: bool) -> None:
    head = head_of((b"Expect", b"100-continue"), (b"Upgrade", b"websocket"), version=version)

    assert [name in head.headers for name in ("Expect", "Upgrade")] == [is_heard, is_heard]


def test_the_target_of_a_tunnel_is_not_looked_at() -> None:
    head = checked_head(b"CONNECT", b"h:443", [HOST], version="1.1", server=None, wants_upgrade=True)

    assert (head.method, head.target) == ("CONNECT", "h:443")


def test_a_body_behind_an_offer_to_upgrade_is_refused() -> None:
    with pytest.raises(Refusal):
        head_of((b"Content-Length", b"1"), method=b"POST", upgrade=True)
