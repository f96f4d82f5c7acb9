"""Several agents whose pages keep websockets and cookies in them: each browser stays with one of them."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from broker.affinity import COOKIE
from tests.system.processes import Process, interpreter
from tests.system.rawhttp import Reply, call
from tests.system.shapes import Standalone
from tests.system.test_several_backends import WebsocketBackend
from tests.timing import SECOND, wait_until

AGENTS = 3
BACKEND = '[[backends]]\nid = "notebook"\nend-user = "allUsers"\nbackend-user = "robot"\nagents = "sticky"\n'


@dataclass
class Browser:
    """A client that keeps cookies."""

    url: str
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, target: str, body: bytes | None = None) -> Reply:
        fields = [("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))]
        reply = call(self.url, method, target, fields=fields if self.cookies else [], body=body)
        for cookie in reply.get_all("Set-Cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return reply

    def shim(self, action: str, body: object) -> Any:
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        reply = self.ask("POST", f"/websocket-shim/{action}", raw)
        assert reply.status == 200, reply
        return json.loads(reply.body) if reply.body[:1] in (b"{", b"[") else reply.body


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def site(stack: ExitStack, tmp_path: Path) -> tuple[str, list[Process]]:
    """A proxy's URL, and the agents of its backend."""
    (tmp_path / "proxy.toml").write_text(BACKEND)
    backend = WebsocketBackend()
    stack.callback(backend.stop)
    proxy = Standalone(tmp_path, f"--config={tmp_path / 'proxy.toml'}")
    stack.callback(proxy.stop)
    agents = []
    for number in range(AGENTS):
        flags = [f"--proxy={proxy.url}", "--backend=notebook", f"--host={backend.url}", "--credentials=none"]
        flags += ["--shim-websockets", "--session-cookie-name=session", "--disable-ssl-for-test", "--workers=1"]
        argv = [interpreter("agent"), "-m", "agent", *flags]
        agent = Process("agent", argv, log=tmp_path / f"agent-{number}.log")
        stack.callback(agent.kill)
        agents.append(agent)
    return proxy.url, agents


def arrived(url: str) -> bool:
    return call(url, "GET", "/page").status == 200


def test_websockets_through_the_shim_work_with_several_agents(site: tuple[str, list[Process]]) -> None:
    url, _ = site
    wait_until(lambda: arrived(url), within=20 * SECOND, what="an agent online")
    browsers = [Browser(url) for _ in range(6)]
    sessions = []
    for browser in browsers:
        assert browser.ask("GET", "/page").status == 200
        sessions.append(browser.shim("open", "ws://x/socket")["id"])

    for number in range(5):
        for browser, session in zip(browsers, sessions, strict=True):
            browser.shim("data", [{"id": session, "msg": f"hello {number}", "n": number}])
            assert browser.shim("poll", {"id": session, "ack": number})[0] == f"hello {number}"


def test_browsers_whose_agents_are_killed_have_others_within_seconds(site: tuple[str, list[Process]]) -> None:
    url, agents = site
    wait_until(lambda: arrived(url), within=20 * SECOND, what="an agent online")
    browsers = [Browser(url) for _ in range(4)]
    for browser in browsers:
        assert browser.ask("GET", "/page").status == 200

    for agent in agents[:-1]:
        agent.kill()
        began = time.monotonic()
        assert [browser.ask("GET", "/page").status for browser in browsers] == [200] * 4
        assert time.monotonic() - began < 14 * SECOND
    assert len({browser.cookies[COOKIE] for browser in browsers}) == 1


def test_browsers_whose_agent_is_killed_while_they_ask_have_another_within_seconds(
    site: tuple[str, list[Process]],
) -> None:
    url, agents = site
    wait_until(lambda: arrived(url), within=20 * SECOND, what="an agent online")
    seen: set[str] = set()

    def have_all_come() -> bool:
        browser = Browser(url)
        browser.ask("GET", "/page")
        seen.add(browser.cookies[COOKIE])
        return len(seen) == AGENTS

    wait_until(have_all_come, within=20 * SECOND, what="every agent online")
    browsers = [Browser(url, {COOKIE: tag}) for tag in seen for _ in range(3)]
    replies: list[tuple[int, float]] = []
    is_over = threading.Event()

    def use(browser: Browser) -> None:
        while not is_over.is_set():
            began = time.monotonic()
            status = browser.ask("GET", "/page").status
            replies.append((status, time.monotonic() - began))

    def have_come(count: int) -> bool:
        return len(replies) >= count

    users = [threading.Thread(target=use, args=(browser,), daemon=True) for browser in browsers]
    for user in users:
        user.start()
    for agent in agents[:-1]:
        wait_until(partial(have_come, len(replies) + 200), within=20 * SECOND, what="traffic")
        agent.kill()
    wait_until(lambda: len({each.cookies[COOKIE] for each in browsers}) == 1, within=40 * SECOND, what="one agent left")
    is_over.set()
    for user in users:
        user.join(20 * SECOND)

    assert {status for status, _ in replies} == {200}
    assert max(seconds for _, seconds in replies) < 10 * SECOND
