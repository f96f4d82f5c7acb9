import asyncio
from pathlib import Path
from typing import Any

import pytest

from standalone.calls import REQUEST_EXTENSION, Message
from standalone.doors.redirect import https_url, redirect_to_https
from tests.fakes.clock import FakeClock
from wire.errors import MalformedMessage
from wire.headers import Headers
from wire.http1 import RequestHead


def request(target: str, host: str = "proxy.example") -> RequestHead:
    return RequestHead("GET", target, Headers([("Host", host)]), None)


@pytest.mark.parametrize(
    ("target", "host", "url"),
    [
        ("/", "proxy.example", "https://proxy.example/"),
        ("/a%2Fb//c?d", "Proxy.Example:80", "https://proxy.example/a%2Fb//c?d"),
        ("//evil.example/", "proxy.example", "https://proxy.example//evil.example/"),
        ("http://other.example:80?x", "proxy.example", "https://other.example/?x"),
        ("/", "[::1]:80", "https://[::1]/"),
    ],
)
def test_the_same_address_is_named_at_https(target: str, host: str, url: str) -> None:
    assert https_url(request(target, host), port=443) == url


def test_a_port_that_is_not_that_of_https_is_named() -> None:
    assert https_url(request("/a", "proxy.example:80"), port=8443) == "https://proxy.example:8443/a"


@pytest.mark.parametrize(("target", "host"), [("/", ""), ("/", "a b"), ("*", "proxy.example")])
def test_a_request_for_no_address_leads_nowhere(target: str, host: str) -> None:
    with pytest.raises(MalformedMessage):
        https_url(request(target, host), port=443)


def answer(head: RequestHead, challenges: Path | None = None) -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "extensions": {REQUEST_EXTENSION: {"head": head}},
    }
    redirect = redirect_to_https(FakeClock(), port=443, challenges=challenges)
    asyncio.run(redirect(scope, receive, send))  # type: ignore[arg-type]
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(message.get("body", b"") for message in sent)


def test_the_answer_keeps_the_method_and_an_error_says_what_is_wrong() -> None:
    status, fields, _ = answer(request("/a"))
    assert (status, fields[b"Location"]) == (308, b"https://proxy.example/a")

    status, fields, _ = answer(request("/", ""))
    assert (status, fields[b"X-Inverting-Proxy-Error"]) == (400, b"malformed-request")


def test_an_authority_is_shown_what_stands_in_the_folder_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / ".well-known" / "acme-challenge"
    folder.mkdir(parents=True)
    (folder / "to-ken_1").write_bytes(b"to-ken_1.thumbprint")
    (tmp_path / ".well-known" / "secret").write_bytes(b"secret")
    path = "/.well-known/acme-challenge/"

    assert answer(request(f"{path}to-ken_1"), tmp_path)[::2] == (200, b"to-ken_1.thumbprint")
    assert answer(request(f"{path}other"), tmp_path)[0] == 404
    for target in (path, f"{path}../secret", f"{path}to-ken_1/", f"{path}to-ken_1?", f"{path}%74o-ken_1", "/x"):
        assert answer(request(target), tmp_path)[0] == 308
    assert answer(request(f"{path}to-ken_1"))[0] == 308
