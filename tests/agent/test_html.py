"""Scripts and banners in what real connections bring: pages that come in pieces, compressed, broken off."""

import gzip
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest

from agent.backend_client import BackendClient
from agent.banner.handler import showing_banner
from agent.messages import Request, Response
from agent.shim.injection import injecting
from agent.transport.errors import Broken
from tests.agent.peers import Received, Wire, an_answer, answering, peer
from tests.timing import SECOND
from wire.headers import Headers
from wire.http1 import RequestHead
from wire.protocol import RequestId

INSERT = b"<script>1</script>"
PAGE = b"<!doctype html><html><head><title>t</title></head><body>" + bytes(range(128, 256)) * 2000
WITH_SCRIPT = PAGE.replace(b"<head>", b"<head>" + INSERT)
HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n%b\r\n"


def a_navigation(place: str = "document", *fields: tuple[str, str]) -> Request:
    headers = Headers([("Host", "x"), ("Sec-Fetch-Dest", place), ("Accept-Encoding", "gzip"), *fields])
    return Request(RequestId("id"), "", RequestHead("GET", "/", headers, None), b"")


def client(url: str) -> BackendClient:
    return BackendClient(url, connections=2, limit=timedelta(seconds=20 * SECOND))


def chunks(data: bytes, size: int) -> bytes:
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def read(response: Response) -> bytes:
    with closing(response):
        return b"".join(event for event in response.events if isinstance(event, bytes))


@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
@pytest.mark.parametrize("coding", ["", "gzip", "deflate"])
def test_a_page_in_pieces_of_any_size_gets_its_script(coding: str, size: int) -> None:
    body = {"": PAGE, "gzip": gzip.compress(PAGE), "deflate": zlib.compress(PAGE)}[coding]
    if size == 1:
        body = body[:2000]
    field = b"Content-Encoding: %b\r\n" % coding.encode() if coding else b""
    seen: list[Received] = []
    with peer(answering(HTML % field + chunks(body, size), record=seen)) as backend:
        response = injecting(client(backend.url), script=b"1")(a_navigation())
        received = read(response)
    assert received == WITH_SCRIPT or (size == 1 and WITH_SCRIPT.startswith(received) and INSERT in received)
    assert "Content-Encoding" not in response.head.headers
    assert seen[0].get_all("Accept-Encoding") == ["identity"]


def test_a_page_flows_while_it_comes() -> None:
    may_end = threading.Event()

    def serve(wire: Wire) -> None:
        wire.read_message()
        wire.send(HTML % b"" + b"f\r\n<!doctype html>\r\n7\r\n<title>\r\n")
        assert may_end.wait(20 * SECOND)
        wire.send(b"1\r\nx\r\n0\r\n\r\n")

    with peer(serve) as backend:
        response = injecting(client(backend.url), script=b"1")(a_navigation())
        received = b""
        while not received.endswith(b"<title>"):
            event = next(response.events)
            assert isinstance(event, bytes)
            received += event
        assert received == b"<!doctype html>" + INSERT + b"<title>"
        may_end.set()
        assert read(response) == b"x"


@pytest.mark.parametrize("field", [b"", b"Content-Encoding: gzip\r\n"])
def test_a_page_that_breaks_off_breaks_off(field: bytes) -> None:
    body = chunks(gzip.compress(PAGE) if field else PAGE, 100)
    with peer(answering(HTML % field + body[:-1000])) as backend:
        response = injecting(client(backend.url), script=b"1")(a_navigation())
        with pytest.raises(Broken):
            read(response)


def test_a_page_that_is_not_in_the_coding_it_names_breaks_off() -> None:
    with peer(answering(HTML % b"Content-Encoding: gzip\r\n" + chunks(PAGE, 1000))) as backend:
        response = injecting(client(backend.url), script=b"1")(a_navigation())
        with pytest.raises(Broken, match="coding"):
            read(response)


@contextmanager
def a_page_and_its_frame(answer: bytes) -> Iterator[tuple[Response, Response, list[Received]]]:
    """The answers in a tab and in the frame, and what the backend was asked."""
    seen: list[Received] = []

    def serve(wire: Wire) -> None:
        while True:
            seen.append(wire.read_message())
            wire.send(answer)

    with peer(serve) as backend:
        inner = injecting(client(backend.url), script=b"1")
        handler = showing_banner(inner, banner="<b>mine</b>", height="40px", favicon_url="")
        yield handler(a_navigation()), handler(a_navigation("iframe")), seen


def test_the_frame_has_the_banner_and_the_page_in_it_the_script() -> None:
    with a_page_and_its_frame(an_answer(PAGE, fields="Content-Type: text/html\r\nX-Frame-Options: DENY\r\n")) as found:
        frame, page, seen = found
        shown = read(frame)
        assert (b"<b>mine</b>" in shown, INSERT in shown, read(page)) == (True, False, WITH_SCRIPT)
    assert [head.target for head in seen] == ["/", "/"]
    assert (frame.head.headers.get("X-Frame-Options"), page.head.headers.get("X-Frame-Options")) == (None, "SAMEORIGIN")
    assert [response.head.headers.get_all("Vary") for response in (frame, page)] == [["Sec-Fetch-Dest, Accept"]] * 2


def test_a_download_passes_both_as_it_is() -> None:
    answer = an_answer(PAGE, fields='Content-Type: text/html\r\nContent-Disposition: attachment\r\nETag: "a"\r\n')
    with a_page_and_its_frame(answer) as (first, second, _):
        assert [read(first), read(second)] == [PAGE, PAGE]
        assert [response.head.headers.get("ETag") for response in (first, second)] == ['"a"', '"a"']
