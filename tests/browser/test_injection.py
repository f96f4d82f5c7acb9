"""The injected script in a browser: it runs first, the page stays the same, and policies hold for all else."""

import gzip
import zlib
from collections.abc import Iterator
from typing import Any, Final

import pytest
from selenium.webdriver import Chrome

from agent.messages import Request, Response
from agent.shim.injection import injecting
from tests.browser.handler_server import HandlerServer, an_answer

pytestmark = pytest.mark.loopback

SCRIPT: Final = b"""
window.ran = ["shim"];
window.answered = fetch("/shim/open", {method: "POST"}).then((answer) => answer.status, () => "blocked");
"""
RUN: Final = "<script>(window.ran ??= []).push('page')</script>"

SHAPES: Final = [
    f"<!doctype html><html><head><title>t</title>{RUN}</head><body><p>b</body></html>",
    f"<!doctype html>\n<HTML lang=de>\n<HEAD data-x='>'>\n<meta charset=utf-8><title>ü</title>{RUN}</HEAD><BODY>ü",
    f"<!DOCTYPE HTML PUBLIC '-//W3C//DTD HTML 4.01 Transitional//EN'><html><head>{RUN}<body>quirks",
    f"<html><head>{RUN}<title>quirks</title></head><body>",
    f"<!-- <head> --><!--> <!---><?xml version='1.0'?><!doctype html><!-- --!><html><!-- x --><head>{RUN}<body>",
    f"<!doctype html>{RUN}<title>no head</title><p>b",
    f"{RUN}<head><title>late head</title></head>",
    f"<!doctype html><html a = \"<head>\" 'b=\"c\"><head>{RUN}</head>",
    f"<!doctype html><html \"a>{RUN}",
    f"<!doctype html>text {RUN}<head>",
    f"<!doctype html><body class=a>{RUN}</body>",
    f"<!doctype html><title><head>{RUN}</title>{RUN}",
    f"<html><frameset cols='*'><frame></frameset>{RUN}",
    f"<!doctype html></ x></><html></p><head/>{RUN}<link rel=x>",
    f"\ufeff<!doctype html><html><![CDATA[ x ]]>{RUN}<head>",
    f"<!doctype html><html></head>{RUN}<body>",
    f"<!doctype html><template>x</template>{RUN}<html lang=en><head>",
    f"<meta charset='utf-8'/><!doctype html><meta http-equiv=content-type content='text/html'>\u00fc{RUN}",
    "<!doctype html><html><head><title>none</title>",
    "<!doctype html>",
]  # fmt: skip

NONCE: Final = f"<!doctype html><html><head>{RUN.replace('<script', '<script nonce=abc')}{RUN}</head><body>"
INLINE: Final = (
    f"<!doctype html><html><head>{RUN}</head><body onclick=\"ran.push('attribute')\"><style>*{{color:red}}</style>"
)

POLICIES: Final = [
    # The policy, the page, what runs in it.
    (["script-src 'nonce-abc'"], NONCE, ["shim", "page"]),
    (["script-src 'nonce-abc' 'strict-dynamic' 'unsafe-inline' https:"], NONCE, ["shim", "page"]),
    (["default-src 'none'"], NONCE, ["shim"]),
    (["default-src 'none'; script-src 'none'; connect-src 'none'"], INLINE, ["shim"]),
    (["default-src 'self'; script-src-elem 'nonce-abc'"], NONCE, ["shim", "page"]),
    (["script-src 'self', script-src 'nonce-abc'", "default-src 'nonce-abc'"], NONCE, ["shim"]),
    (["script-src 'self' 'unsafe-inline'"], INLINE, ["shim", "page", "attribute"]),
    (["default-src 'self' 'unsafe-inline'; connect-src wss://example.com"], INLINE, ["shim", "page", "attribute"]),
    (["script-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"], INLINE, ["shim"]),
    (["require-trusted-types-for 'script'; trusted-types 'none'; script-src 'nonce-abc'"], NONCE, ["shim", "page"]),
]


def backend(request: Request) -> Response:
    """The shapes by number, as they are or compressed; the policies; and where the script calls."""
    _, kind, *rest = request.head.target.split("/")
    if kind == "shape":
        return an_answer(SHAPES[int(rest[0])].encode())
    if kind == "policy":
        policies, page, _ = POLICIES[int(rest[0])]
        return an_answer(page.encode(), *(("Content-Security-Policy", policy) for policy in policies))
    if kind == "meta":
        return an_answer(f"<head><meta http-equiv=Content-Security-Policy content=\"script-src 'none'\">{RUN}".encode())
    page = SHAPES[1].encode()
    if kind == "gzip":
        return an_answer(gzip.compress(page), ("Content-Encoding", "gzip"))
    if kind == "deflate":
        return an_answer(zlib.compress(page), ("Content-Encoding", "deflate"))
    return an_answer(b"ok", ("Content-Type", "text/plain"))


@pytest.fixture(scope="module")
def plain() -> Iterator[HandlerServer]:
    server = HandlerServer(backend)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def injected() -> Iterator[HandlerServer]:
    server = HandlerServer(injecting(backend, script=SCRIPT))
    yield server
    server.stop()


def look_at(chromium: Chrome, url: str) -> dict[str, Any]:
    """What a page has become: which scripts ran in which order, and its tree without the first script."""
    chromium.get(url)
    return chromium.execute_async_script(
        """
        const done = arguments[0];
        document.body?.click?.();
        const first = document.querySelector("script");
        if (first?.textContent.includes("shim/open")) {
            first.remove();
        }
        const seen = {
            ran: window.ran ?? [],
            tree: document.documentElement.outerHTML,
            mode: document.compatMode,
            encoding: document.characterSet,
        };
        Promise.resolve(window.answered ?? null).then((answered) => done({...seen, answered}));
        """
    )


@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_a_page_stays_the_same_but_for_a_script_that_runs_first(
    chromium: Chrome, plain: HandlerServer, injected: HandlerServer, number: int
) -> None:
    before, after = (look_at(chromium, f"{server.url}/shape/{number}") for server in (plain, injected))
    assert after.pop("ran") == ["shim", *before.pop("ran")]
    assert (before.pop("answered"), after.pop("answered")) == (None, 200)
    assert after == before


@pytest.mark.parametrize("number", range(len(POLICIES)))
def test_the_script_runs_and_calls_under_every_policy_and_nothing_else_may_more_than_before(
    chromium: Chrome, plain: HandlerServer, injected: HandlerServer, number: int
) -> None:
    before, after = (look_at(chromium, f"{server.url}/policy/{number}") for server in (plain, injected))
    assert (after["ran"], after["answered"]) == (POLICIES[number][2], 200)
    assert before["ran"] == after["ran"][1:]


def test_a_policy_in_the_page_comes_too_late_for_the_script(chromium: Chrome, injected: HandlerServer) -> None:
    assert look_at(chromium, f"{injected.url}/meta")["ran"] == ["shim"]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_page_is_shown_with_the_script(chromium: Chrome, injected: HandlerServer, coding: str) -> None:
    seen = look_at(chromium, f"{injected.url}/{coding}")
    assert (seen["ran"], "ü" in seen["tree"]) == (["shim", "page"], True)
