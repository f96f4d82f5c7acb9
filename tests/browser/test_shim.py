"""What only the shim has to do: the end of the page, silence, many sockets, other hosts."""

import json
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver import Chrome

from tests.browser.backend import PageServer
from tests.system.shapes import Site
from tests.timing import SECOND

ASYNC = "const done = arguments[arguments.length - 1]; (async () => {%s})().then(done, (error) => done(String(error)));"

OPENED = """
    const opened = (url) => new Promise((resolve, reject) => {
        const socket = new WebSocket(url);
        socket.onopen = () => resolve(socket);
        socket.onclose = ({ code }) => reject(code);
    });
    const next = (socket, type) => new Promise((resolve) => socket.addEventListener(type, resolve, { once: true }));
"""


@pytest.fixture
def page(chromium: Chrome, site: Site) -> Iterator[Chrome]:
    """A new tab with the page behind the proxy."""
    first = chromium.current_window_handle
    chromium.switch_to.new_window("tab")
    own = chromium.current_window_handle
    chromium.get(f"{site.url}/page")
    yield chromium
    if own in chromium.window_handles:
        chromium.close()
    chromium.switch_to.window(first)


def run(page: Chrome, script: str, *args: object) -> Any:
    return page.execute_async_script(ASYNC % (OPENED + script), *args)


def what_came(backend: PageServer, key: str) -> Any:
    """The messages of a websocket that has ended, and how: waits for the end."""
    with urllib.request.urlopen(f"{backend.url}/recorded?key={key}", timeout=60 * SECOND) as answer:
        return json.load(answer)


def test_a_tab_that_is_closed_closes_its_websockets(page: Chrome, backend: PageServer) -> None:
    key = uuid.uuid4().hex
    run(page, "const socket = await opened(`/record?key=${arguments[0]}`); socket.send('hello');", key)
    page.close()

    assert what_came(backend, key) == [["hello"], [1001, ""]]


def test_what_a_page_sends_in_its_last_moment_comes_before_its_end(page: Chrome, backend: PageServer) -> None:
    """Both are requests that nobody waits for any more, made at once: the one may overtake the other."""
    for _ in range(5):
        key = uuid.uuid4().hex
        run(
            page,
            """
            const socket = await opened(`/record?key=${arguments[0]}`);
            for (const words of ["last", "words"]) window.addEventListener("beforeunload", () => socket.send(words));
            """,
            key,
        )
        page.get(page.current_url)

        assert what_came(backend, key) == [["last", "words"], [1001, ""]]


def test_a_page_that_is_left_and_come_back_to_finds_its_websocket_closed(page: Chrome, backend: PageServer) -> None:
    key = uuid.uuid4().hex
    run(page, "window.kept = await opened(`/record?key=${arguments[0]}`);", key)
    page.get(page.current_url.replace("/page", "/empty"))
    messages, end = what_came(backend, key)
    page.back()

    assert (messages, end) == ([], [1001, ""])
    # Kept by the browser or loaded anew: both are right.
    state = run(page, "await new Promise((resolve) => setTimeout(resolve, 100)); return window.kept?.readyState ?? 3;")
    assert state == 3


def test_a_websocket_stays_open_when_nothing_is_said_for_longer_than_a_poll(page: Chrome) -> None:
    answer = run(
        page,
        """
        const socket = await opened("/echo");
        await new Promise((resolve) => setTimeout(resolve, 22000));
        socket.send("still there?");
        const { data } = await next(socket, "message");
        socket.close();
        return data;
        """,
    )

    assert answer == "still there?"


def test_more_websockets_than_the_browser_has_connections(page: Chrome) -> None:
    """Six of them in HTTP/1.1: without turns each message would wait until a poll has waited for its twenty seconds."""
    took = run(
        page,
        """
        const sockets = await Promise.all(Array.from({ length: 12 }, () => opened("/echo")));
        const start = performance.now();
        for (const round of [1, 2]) {
            await Promise.all(sockets.map((socket, number) => {
                socket.send(`${round} ${number}`);
                return next(socket, "message").then(({ data }) => {
                    if (data !== `${round} ${number}`) throw new Error(data);
                });
            }));
        }
        const took = performance.now() - start;
        for (const socket of sockets) socket.close();
        await Promise.all(sockets.map((socket) => next(socket, "close")));
        return took;
        """,
    )

    assert took < 18_000 * SECOND


def test_other_hosts_have_the_browsers_own_websockets(page: Chrome, backend: PageServer) -> None:
    seen = run(
        page,
        """
        class Mine extends WebSocket {}
        const socket = new Mine(`${arguments[0].replace("http", "ws")}/echo`);
        await next(socket, "open");
        socket.send("hello");
        const { data, isTrusted } = await next(socket, "message");
        const found = [data, isTrusted, socket instanceof Mine, socket instanceof WebSocket, socket.readyState];
        socket.close(1000);
        return [...found, (await next(socket, "close")).code];
        """,
        backend.url,
    )

    assert seen == ["hello", True, True, True, 1, 1000]


def test_nothing_is_asked_for_after_the_end(page: Chrome) -> None:
    requests = run(
        page,
        """
        const ended = new WebSocket("/close?code=4000");
        await next(ended, "close");
        const count = () => performance.getEntriesByType("resource").filter(({ name }) => /shim/.test(name)).length;
        const before = count();
        await new Promise((resolve) => setTimeout(resolve, 1500));
        return [before > 0, count() - before];
        """,
    )

    assert requests == [True, 0]
