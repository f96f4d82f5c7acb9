"""Signing in and out in a browser: a real provider's pages, several tabs, a script that is told 401, other sites."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.openid.provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider
from tests.system.backends import Peer
from tests.system.protected import Protected
from tests.timing import SECOND, wait_until

PATIENCE: Final = 30 * SECOND
SESSION: Final = "inverting-proxy-session"

FETCH: Final = """
const [url, options, done] = arguments;
fetch(url, options).then(
  async (answer) => done({status: answer.status, reason: answer.headers.get('X-Inverting-Proxy-Error')}),
  (error) => done({status: 0, reason: String(error)}));
"""
OPEN_WEBSOCKET: Final = """
const [url, done] = arguments;
const socket = new WebSocket(url);
socket.onopen = () => done('open');
socket.onerror = () => done('refused');
"""


class World:
    """A proxy whose users sign in, its provider, a backend, and a page of another site."""

    def __init__(self, folder: Path) -> None:
        (folder / "secret").write_text(CLIENT_SECRET)
        self.peer = Peer(folder)
        self.proxy = Protected(folder, {"users": {"sign-in": "public"}})
        self.url = self.proxy.url
        self.provider = OpenIdProvider(folder, self.url)
        self.proxy.restart(
            users={
                "sign-in": "oidc",
                "public-urls": [self.url],
                "allowed": ["@example.org"],
                "oidc-issuer": self.provider.issuer,
                "oidc-client-id": CLIENT_ID,
                "oidc-client-secret": str(folder / "secret"),
            }
        )
        self.proxy.start_agent(self.peer.url)
        # The same loopback by another name is another site to a browser.
        self.foreign_page = self.peer.url.replace("127.0.0.1", "localhost") + "/who"

    def stop(self) -> None:
        self.proxy.stop()
        self.provider.stop()
        self.peer.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("sign-in"))
    yield world
    world.stop()


@pytest.fixture
def browser(chromium: Chrome, world: World) -> Iterator[Chrome]:
    """The browser, with one tab, known to nobody."""
    forget(chromium, world)
    yield chromium
    forget(chromium, world)


def forget(browser: Chrome, world: World) -> None:
    first, *others = browser.window_handles
    for tab in others:
        browser.switch_to.window(tab)
        browser.close()
    browser.switch_to.window(first)
    browser.get("about:blank")
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})


def fill_in(browser: Chrome, name: str) -> None:
    """What somebody does at the provider's pages; the second asks whether the proxy may know him."""
    wait_until(lambda: browser.find_elements(By.NAME, "login"), within=PATIENCE, what="the page to sign in")
    browser.find_element(By.NAME, "login").send_keys(name)
    browser.find_element(By.NAME, "password").send_keys("x")
    browser.find_element(By.CSS_SELECTOR, "button[type=submit]").click()
    wait_until(
        lambda: not browser.find_elements(By.NAME, "login"), within=PATIENCE, what="the page behind that to sign in"
    )


def consent(browser: Chrome, world: World) -> None:
    """Say yes, if the provider asks."""
    wait_until(
        lambda: browser.current_url.startswith(world.url) or browser.find_elements(By.CSS_SELECTOR, "form button"),
        within=PATIENCE,
        what="the provider's question, or the way back",
    )
    if not browser.current_url.startswith(world.url):
        browser.find_element(By.CSS_SELECTOR, "form button").click()


def wait_for(browser: Chrome, url: str) -> None:
    """Return when a page is there, whole: its address is shown before it is."""

    def is_there() -> bool:
        return browser.current_url == url and browser.execute_script("return document.readyState") == "complete"

    wait_until(is_there, within=PATIENCE, what=f"{url} (is {browser.current_url})")


def sign_in(browser: Chrome, world: World, path: str = "/who", name: str = "ada") -> None:
    """Open a page as a stranger, and arrive there."""
    browser.get(f"{world.url}{path}")
    fill_in(browser, name)
    consent(browser, world)
    wait_for(browser, f"{world.url}{path}")
    wait_until(lambda: shown(browser, world, path), within=PATIENCE, what="an agent online")


def shown(browser: Chrome, world: World, path: str) -> bool:
    if "X-Inverting-Proxy-User-ID" in browser.page_source:
        return True
    browser.get(f"{world.url}{path}")
    return False


def user_of(browser: Chrome) -> str:
    fields = json.loads(browser.find_element(By.TAG_NAME, "body").text)["fields"]
    return next(value for name, value in fields if name == "X-Inverting-Proxy-User-ID")


def our_cookies(browser: Chrome) -> list[str]:
    """Without those of the provider, which is at another port: to cookies that is the same host."""
    return [cookie["name"] for cookie in browser.get_cookies() if cookie["name"].startswith("inverting-proxy-")]


def test_whoever_opens_a_page_signs_in_and_arrives_there(browser: Chrome, world: World) -> None:
    sign_in(browser, world, "/who?x=%2F")

    assert user_of(browser) == "ada@example.org"
    assert browser.execute_script("return document.cookie") == ""
    cookie = browser.get_cookie(SESSION)
    assert cookie and (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    assert our_cookies(browser) == [SESSION]


def test_tabs_that_were_opened_together_each_arrive_at_their_page(browser: Chrome, world: World) -> None:
    pages = [f"{world.url}/who?tab={number}" for number in range(3)]
    browser.get(pages[0])
    tabs = [browser.current_window_handle]
    for page in pages[1:]:
        browser.switch_to.new_window("tab")
        browser.get(page)
        tabs.append(browser.current_window_handle)
    for tab, page in reversed(list(zip(tabs, pages, strict=True))):
        browser.switch_to.window(tab)
        fill_in(browser, "ada")
        consent(browser, world)
        wait_for(browser, page)

    assert our_cookies(browser) == [SESSION]


def test_a_script_is_told_that_nobody_is_signed_in_any_more(browser: Chrome, world: World) -> None:
    sign_in(browser, world)
    allowed = browser.execute_async_script(FETCH, "/status?code=204", {"method": "POST"})
    browser.delete_cookie(SESSION)
    told = browser.execute_async_script(FETCH, "/who", {})

    assert allowed["status"] == 204
    assert told == {"status": 401, "reason": "not-signed-in"}


def test_a_session_that_is_over_leads_to_the_provider_which_remembers(browser: Chrome, world: World) -> None:
    sign_in(browser, world)
    browser.delete_cookie(SESSION)
    browser.get(f"{world.url}/who?again")

    wait_for(browser, f"{world.url}/who?again")  # without a question
    assert user_of(browser) == "ada@example.org"


def test_signing_out_ends_the_session_here_and_at_the_provider(browser: Chrome, world: World) -> None:
    sign_in(browser, world)
    browser.get(f"{world.url}/.inverting-proxy/sign-out")
    assert "You are signed in as ada@example.org." in browser.page_source
    browser.find_element(By.TAG_NAME, "button").click()
    # The provider asks, because it was not told by whom it was sent.
    leave = (By.CSS_SELECTOR, "button[name=logout]")
    wait_until(lambda: browser.find_elements(*leave), within=PATIENCE, what="the provider's question")
    browser.find_element(*leave).click()
    wait_for(browser, f"{world.url}/.inverting-proxy/signed-out")
    assert "You are signed out of this proxy." in browser.page_source
    browser.get(f"{world.url}/who")

    wait_until(lambda: browser.find_elements(By.NAME, "login"), within=PATIENCE, what="the question who it is")


def test_a_page_of_another_site_changes_nothing_and_opens_no_websocket(browser: Chrome, world: World) -> None:
    sign_in(browser, world)
    # Lax keeps the cookie from other sites; another port of this host is the same site, and gets it.
    browser.get(world.peer.url + "/who")
    posted = browser.execute_async_script(
        FETCH, f"{world.url}/status?code=204", {"method": "POST", "mode": "no-cors", "credentials": "include"}
    )
    websocket = browser.execute_async_script(OPEN_WEBSOCKET, world.url.replace("http", "ws", 1) + "/socket")
    log = world.proxy.logged()

    assert (posted["status"], websocket) == (0, "refused")  # opaque
    assert 'audit: POST /status refused=not-allowed peer=127.0.0.1 because="a page of another site' in log
    assert 'audit: GET /socket refused=not-allowed peer=127.0.0.1 because="a page of another site' in log


def test_a_form_of_a_foreign_site_is_nobodys(browser: Chrome, world: World) -> None:
    sign_in(browser, world)
    browser.get(world.foreign_page)
    told = browser.execute_async_script(
        FETCH, f"{world.url}/status?code=204", {"method": "POST", "mode": "no-cors", "credentials": "include"}
    )

    assert told["status"] == 0
    wait_until(lambda: "POST /status 401" in world.proxy.logged(), within=PATIENCE, what="a refusal")
