"""The banner in a browser: shown once, and the tab behaves as if the page in the frame were the page."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from selenium.webdriver import Chrome

from agent.banner.handler import showing_banner
from agent.messages import Request, Response
from tests.browser.chromium import started
from tests.browser.handler_server import HandlerServer, an_answer
from tests.timing import SECOND, wait_until

pytestmark = pytest.mark.loopback

BANNER: Final = '<b id="operators">Property of {{target}}</b>'

_WITHIN: Final = 20 * SECOND


class Backend:
    """Pages that link to each other, and to the other site once that is known."""

    def __init__(self) -> None:
        self.other = ""

    def __call__(self, request: Request) -> Response:
        path, _, query = request.head.target.partition("?")
        if path == "/download":
            fields = ("Content-Disposition", f'attachment; filename="{query}.html"')
            return an_answer(b"<p>saved</p>", fields)
        if path == "/posted":
            return page("posted", request.body.decode() if isinstance(request.body, bytes) else "")
        if path == "/forbidding":
            return page("forbidding", "", ("X-Frame-Options", "DENY"))
        if path == "/strict":
            policy = "default-src 'none'; frame-ancestors 'none'"
            return page("strict", '<a id="b" href="/b">b</a>', ("Content-Security-Policy", policy))
        if path == "/away":
            return an_answer(b"", ("Location", f"{self.other}/other"), status=302)
        if path == "/here":
            return an_answer(b"", ("Location", "/b"), status=302)
        if path == "/missing":
            return an_answer(b"<title>missing</title>", status=404)
        if path == "/outer":
            return page("outer", '<iframe src="/inner"></iframe>')
        if path == "/silent":
            return page("silent", '<a id="b" href="/b?x=1#there">b</a>', ("Referrer-Policy", "no-referrer"))
        return page(
            path.strip("/"),
            f"""
            <a id="b" href="/b">b</a> <a id="hash" href="#there">hash</a> <a id="away" href="/away">away</a>
            <a id="here" href="/here">here</a> <a id="elsewhere" href="{self.other}/other">elsewhere</a>
            <a id="download" href="/download?frame">download</a> <a id="tab" href="/b" target="_blank">tab</a>
            <a id="missing" href="/missing">missing</a> <a id="silent" href="/silent">silent</a>
            <form method="post" action="/posted"><input name="x" value="1"><button id="send">send</button></form>
            <form action="{self.other}/other"><button id="send-elsewhere">send</button></form>
            """,
        )


def page(title: str, body: str, *fields: tuple[str, str]) -> Response:
    return an_answer(f"<!doctype html><title>{title}</title><body>{body}".encode(), *fields)


@pytest.fixture(scope="module")
def server() -> Iterator[HandlerServer]:
    """The pages under the banner; `other` is a site without one."""
    backend = Backend()
    other = HandlerServer(lambda request: page("other", "", ("X-Frame-Options", "DENY")))
    server = HandlerServer(showing_banner(backend, banner=BANNER, height="40px", favicon_url='/icon?"&x'))
    backend.other = other.url
    yield server
    server.stop()
    other.stop()


@pytest.fixture(scope="module")
def mute_chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser to which the site is `http://site.test`: it does not send `Sec-Fetch-*` there."""
    rules = "--host-resolver-rules=MAP site.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
    with started(tmp_path_factory.mktemp("mute"), rules) as browser:
        yield browser


@pytest.fixture(params=["told", "not told"])
def tab(
    request: pytest.FixtureRequest, chromium: Chrome, mute_chromium: Chrome, server: HandlerServer
) -> Iterator["Tab"]:
    """A new tab of a browser that tells where it shows a page, and of one that does not."""
    browser = chromium if request.param == "told" else mute_chromium
    host = "127.0.0.1" if request.param == "told" else "site.test"
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    yield Tab(browser, f"http://{host}:{server.port}", server)
    for handle in browser.window_handles:
        if handle != first:
            browser.switch_to.window(handle)
            browser.close()
    browser.switch_to.window(first)


class Tab:
    """What a user sees and does."""

    def __init__(self, browser: Chrome, url: str, server: HandlerServer) -> None:
        self.browser = browser
        self.url = url
        self.server = server

    def open(self, path: str, title: str | None = None) -> None:
        self.browser.get(self.url + path)
        self.shows(title or path.strip("/").partition("#")[0], path)

    def run(self, script: str) -> Any:
        """In the page that the tab is of."""
        return self.browser.execute_script(script)

    def in_frame(self, script: str) -> Any:
        return self.run(f"return (function () {{ {script} }}).call(document.querySelector('iframe').contentWindow)")

    def click(self, name: str) -> None:
        self.in_frame(f"this.document.getElementById('{name}').click()")

    def click_for_a_new_page(self, name: str) -> None:
        """For a link to where the frame is already: what `shows` looks at is the same before and after."""
        self.in_frame("this.before = true")
        self.click(name)
        wait_until(lambda: self.in_frame("return this.before !== true"), within=_WITHIN, what="a new page in the frame")

    def shows(self, title: str, path: str) -> None:
        """Wait for a page under the banner, and for the address bar and the title to say so."""

        def seen() -> object:
            return self.run(
                """
                const frame = document.querySelector("iframe")?.contentWindow;
                return {
                    banners: document.querySelectorAll("#operators").length,
                    tab: [location.href, document.title],
                    frame: frame && [frame.location.href, frame.document.title],
                    ready: frame?.document.readyState,
                    inner: frame && frame.document.querySelectorAll("#operators, #inverting-proxy-frame").length,
                };
                """
            )

        address = self.url + path
        expected = {"banners": 1, "tab": [address, title], "frame": [address, title], "ready": "complete", "inner": 0}
        last: list[object] = [None]

        def is_so() -> bool:
            # A page that is just being replaced cannot be asked.
            with contextlib.suppress(Exception):
                last[0] = seen()
            return last[0] == expected

        try:
            wait_until(is_so, within=_WITHIN, what=f"{title} at {path}")
        except TimeoutError:
            assert last[0] == expected

    def shows_alone(self, title: str, url: str) -> None:
        """Wait for a page without a banner."""

        def is_so() -> bool:
            return bool(self.run("return location.href") == url and self.run("return document.title") == title)

        wait_until(is_so, within=_WITHIN, what=f"{title} at {url}")
        assert self.run("return document.querySelectorAll('#operators, iframe').length") == 0


def test_the_banner_is_shown_once_at_its_height_and_the_page_takes_the_rest(tab: Tab) -> None:
    tab.open("/a")
    sizes = tab.run(
        """
        const [banner, frame] = ["inverting-proxy-banner", "inverting-proxy-frame"]
            .map((id) => document.getElementById(id).getBoundingClientRect());
        return [document.compatMode, banner.top, banner.height, frame.top, frame.bottom - innerHeight, frame.left,
            frame.right - innerWidth];
        """
    )
    assert sizes == ["CSS1Compat", 0, 40, 40, 0, 0, 0]


def test_what_the_operator_gave_is_shown_as_given(tab: Tab) -> None:
    tab.open("/a")
    assert tab.run("return document.getElementById('operators').textContent") == "Property of {{target}}"
    assert tab.run("return document.querySelector('link[rel=icon]').getAttribute('href')") == '/icon?"&x'


@pytest.mark.parametrize("path", ["/a?x=%3Cscript%3E&y=%22'", "/a?{{banner}}", "//site.test/", "/a//b/;c", "/a#there"])
def test_the_address_is_the_one_that_was_asked_for(tab: Tab, path: str) -> None:
    tab.browser.get(tab.url + path)
    title = path.partition("?")[0].partition("#")[0].strip("/")
    tab.shows(title, tab.run("return location.href").removeprefix(tab.url))


def test_links_and_going_back_and_forward_and_reloading(tab: Tab) -> None:
    tab.open("/a")
    tab.click("b")
    tab.shows("b", "/b")
    tab.click_for_a_new_page("here")
    tab.shows("b", "/b")
    tab.click("hash")
    tab.shows("b", "/b#there")
    tab.browser.back()
    tab.shows("b", "/b")
    tab.browser.back()
    tab.browser.back()
    tab.shows("a", "/a")
    tab.browser.forward()
    tab.shows("b", "/b")
    tab.browser.refresh()
    tab.shows("b", "/b")


def test_a_page_that_changes_its_address_and_title_by_itself(tab: Tab) -> None:
    tab.open("/a")
    tab.in_frame("this.history.pushState({}, '', '/a/pushed'); this.document.title = 'pushed'")
    tab.shows("pushed", "/a/pushed")
    tab.in_frame("this.history.replaceState({}, '', '/a/replaced'); this.location.hash = 'x'")
    tab.shows("pushed", "/a/replaced#x")
    tab.browser.back()
    tab.shows("pushed", "/a/replaced")
    tab.browser.back()
    tab.shows("pushed", "/a")


def test_the_tabs_history_is_as_long_as_without_a_banner(tab: Tab) -> None:
    tab.open("/a")
    before = tab.run("return history.length")
    tab.click("b")
    tab.shows("b", "/b")
    tab.in_frame("this.history.pushState({}, '', '/c')")
    tab.shows("b", "/c")
    assert tab.run("return history.length") - before == 2


def test_a_fragment_that_the_user_types_reaches_the_page(tab: Tab) -> None:
    tab.open("/a")
    tab.run("location.hash = 'typed'")
    tab.shows("a", "/a#typed")


@pytest.mark.parametrize("name", ["elsewhere", "send-elsewhere", "away"])
def test_what_leads_to_another_site_leads_out_of_the_frame_and_back_leads_into_it(tab: Tab, name: str) -> None:
    tab.open("/a")
    other = tab.in_frame("return this.document.getElementById('elsewhere').href")
    tab.click(name)
    tab.shows_alone("other", other + "?" * (name == "send-elsewhere"))
    tab.browser.back()
    tab.shows("a", "/a")
    assert tab.in_frame("return this.document.getElementById('elsewhere').target") == ""


def test_a_download_is_saved_as_it_is(tab: Tab, tmp_path: Path) -> None:
    tab.open("/a")
    tab.browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    tab.click("download")
    tab.run(f"location.href = '{tab.url}/download?tab'")
    for name in ("frame.html", "tab.html"):
        saved = tmp_path / name
        wait_until(lambda saved=saved: saved.exists() and saved.read_text(), within=_WITHIN, what=name)
        assert saved.read_text() == "<p>saved</p>"
    tab.shows("a", "/a")


def test_the_result_of_a_form_is_shown_in_the_frame(tab: Tab) -> None:
    tab.open("/a")
    tab.click("send")
    tab.shows("posted", "/posted")
    assert tab.in_frame("return this.document.body.textContent") == "x=1"


@pytest.mark.parametrize("path", ["/forbidding", "/strict"])
def test_a_page_that_forbids_frames_is_shown_all_the_same(tab: Tab, path: str) -> None:
    tab.open(path)


def test_a_policy_of_the_page_does_not_keep_the_tab_from_following(tab: Tab) -> None:
    tab.open("/strict")
    tab.click("b")
    tab.shows("b", "/b")


def test_the_pages_own_frames_have_no_banner(tab: Tab) -> None:
    tab.open("/outer")
    inner = "return this.frames[0].document.readyState === 'complete' && this.frames[0].document.title"
    wait_until(lambda: tab.in_frame(inner) == "inner", within=_WITHIN, what="the inner page")
    assert tab.in_frame("return this.frames[0].document.querySelectorAll('#operators, iframe').length") == 0


def test_an_error_is_shown_without_a_frame_and_in_one(tab: Tab) -> None:
    tab.browser.get(tab.url + "/missing")
    tab.shows_alone("missing", tab.url + "/missing")
    tab.open("/a")
    tab.click("missing")
    tab.shows("missing", "/missing")


def test_a_page_that_hides_where_it_leads_from_gets_no_second_frame(tab: Tab) -> None:
    """Without `Referer` and `Sec-Fetch-Dest` nothing tells the server that it is asked from the frame."""
    tab.open("/silent")
    tab.click("b")
    tab.shows("b", "/b?x=1#there")
    assert "inverting-proxy-framed" not in tab.run("return document.cookie")
    tab.browser.refresh()
    tab.shows("b", "/b?x=1#there")


def test_a_link_into_a_new_tab_has_its_own_banner(chromium: Chrome, server: HandlerServer) -> None:
    first = chromium.current_window_handle
    chromium.switch_to.new_window("tab")
    tab = Tab(chromium, server.url, server)
    tab.open("/a")
    before = set(chromium.window_handles)
    tab.click("tab")
    [new] = wait_until(lambda: set(chromium.window_handles) - before, within=_WITHIN, what="a new tab")
    chromium.switch_to.window(new)
    tab.shows("b", "/b")
    for handle in (new, *(before - {first})):
        chromium.switch_to.window(handle)
        chromium.close()
    chromium.switch_to.window(first)


def test_the_frame_is_asked_for_anew_each_time(tab: Tab) -> None:
    tab.open("/a")
    tab.server.requests.clear()
    tab.browser.refresh()
    tab.shows("a", "/a")
    asked: Callable[[], int] = lambda: [request.target for request in tab.server.requests].count("/a")  # noqa: E731
    assert asked() == 2
