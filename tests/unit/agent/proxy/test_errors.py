"""What the proxy's answers mean."""

import pytest

from agent.proxy.errors import (
    Forbidden,
    Gone,
    NotAProxy,
    ProxyError,
    ProxyUnavailable,
    Redirected,
    Unauthorized,
    require_no_page,
    require_success,
)
from wire.headers import Headers
from wire.http1 import ResponseHead


def a_head(status: int, *fields: tuple[str, str]) -> ResponseHead:
    return ResponseHead(status, Headers(list(fields)), None)


@pytest.mark.parametrize(
    ("status", "fields", "kind", "said"),
    [
        (401, (), Unauthorized, "status 401: it does not accept this agent's credentials for this backend"),
        (401, (("X-Inverting-Proxy-Error", "not-authenticated"),), Unauthorized, "401 (not-authenticated): it does"),
        (401, (), Unauthorized, "--oidc-audience"),
        (403, (("X-Inverting-Proxy-Error", "not-allowed"),), Forbidden, "(not-allowed): is this agent's account the"),
        (401, (("X-Goog-IAP-Generated-Response", "true"),), Unauthorized, "--iap-client-id"),
        (
            302,
            (("Location", "https://accounts.google.com/o/oauth2/v2/auth?x=SECRET"),),
            Unauthorized,
            "--iap-client-id",
        ),
        (
            302,
            (("Location", "https://elsewhere.example.com/?x=SECRET"),),
            Redirected,
            "'https://elsewhere.example.com/'",
        ),
        (302, (("Location", "http://["),), Redirected, "a redirect to 'http://['"),
        (307, (), Redirected, "a redirect to 'nowhere'"),
        (404, (), Gone, "status 404"),
        (407, (), ProxyError, "HTTP_PROXY"),
        (429, (), ProxyUnavailable, "status 429"),
        (503, (("X-Inverting-Proxy-Error", "store-unavailable"),), ProxyUnavailable, "503 (store-unavailable)"),
        (503, (("X-Inverting-Proxy-Error", "Not A Reason: SECRET"),), ProxyUnavailable, "status 503"),
        (418, (), ProxyError, "status 418"),
    ],
)
def test_an_answer_that_is_no_success_says_what_to_do(
    status: int, fields: tuple[tuple[str, str], ...], kind: type[ProxyError], said: str
) -> None:
    with pytest.raises(ProxyError) as caught:
        require_success(a_head(status, *fields), target="/agent/pending")
    text = str(caught.value)
    assert (type(caught.value), said in text, "/agent/pending" in text, "SECRET" in text) == (kind, True, True, False)


def test_a_success_is_none() -> None:
    require_success(a_head(204), target="/agent/pending")


@pytest.mark.parametrize(
    ("kind", "body"),
    [("text/html; charset=utf-8", b""), ("TEXT/HTML", b"[]"), ("", b"<!doctype html>"), ("text/plain", b"\n <html>")],
)
def test_a_page_is_not_a_list(kind: str, body: bytes) -> None:
    with pytest.raises(NotAProxy, match="a page, not a list: is --proxy the agent service?"):
        require_no_page(a_head(200, ("Content-Type", kind)), body)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'["<"]'])
def test_a_list_is_no_page(body: bytes) -> None:
    require_no_page(a_head(200, ("Content-Type", "text/plain; charset=utf-8")), body)
