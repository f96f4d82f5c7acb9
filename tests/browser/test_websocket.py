"""The shim's WebSocket beside the browser's own: the same page, the same cases, and every observable event agrees.

`cases.js` has the cases and records what the page sees. Each runs once on the page as its server gives it, with the
browser's own websockets, and once behind stand-alone proxy and agent.

Left out of what is compared, because a script cannot be like the browser there: `isTrusted` of events, and the text of
messages of exceptions. `extensions` agree because the server offers none.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from selenium.webdriver import Chrome

from tests.browser.backend import PageServer
from tests.system.shapes import Site

COVERED: Final = {
    "interfaces/WebSocket/constants": ["constants"],
    "interfaces/WebSocket/url": ["constructor: URLs", "new socket", "instance"],
    "interfaces/WebSocket/readyState": ["new socket", "instance", "constants"],
    "interfaces/WebSocket/extensions": ["new socket", "instance"],
    "interfaces/WebSocket/protocol": [
        "protocol: none offered",
        "protocol: the server's choice",
        "protocol: one as a string",
        "protocol: offered, none chosen",
        "protocol: one that was not offered",
    ],
    "interfaces/WebSocket/bufferedAmount": [
        "bufferedAmount: falls to zero",
        "bufferedAmount: bytes, not characters",
        "send: when closing and closed",
        "send: buffers and views",
        "send: blobs",
        "send: long messages",
    ],
    "interfaces/WebSocket/events": [
        "events: order of handlers and listeners",
        "events: what a handler may be",
        "events: exceptions of handlers",
        "events: removed, once, synthetic",
        "events: promises between messages",
        "several sockets",
    ],
    "interfaces/WebSocket/close": [
        "close: bad codes and reasons",
        "close: bad arguments before it is open",
        "close: before it is open",
        "close: before it is open, later",
        "close: twice",
        "close: within handlers",
        "close: within onerror",
        "close: no message after it",
        "close: slow server",
    ],
    "interfaces/WebSocket/send": [
        "send: text",
        "send: halves of surrogate pairs",
        "send: what is no string",
        "send: refused",
        "send: changed afterwards",
        "send: of another frame",
    ],
    "interfaces/CloseEvent": [
        "close: by the server",
        "close: by the server, without code",
        "failure: connection dropped",
    ],
    "idlharness, interface-* (class, prototype, brands)": ["interface", "strangers", "instance", "subclass"],
    "constructor/, Create-*": [
        "constructor: arguments",
        "constructor: bad URLs",
        "constructor: URLs",
        "constructor: base URL",
        "constructor: bad protocols",
        "constructor: odd protocols",
    ],
    "binary/, binaryType-*, Create-valid-url-binaryType-blob": [
        "binaryType: values",
        "binaryType: blob",
        "binaryType: arraybuffer",
        "binaryType: changed in between",
    ],
    "Send-* (data of all kinds and lengths)": [
        "send: text",
        "send: buffers and views",
        "send: blobs",
        "send: long messages",
        "send: three million bytes",
        "send: thousands of messages",
        "send: order of blobs and others",
        "send: before close, all arrives",
    ],
    "Close-* (codes and reasons)": ["close: codes", "close: reasons", "close: what the server sees"],
    "Close-server-initiated-close, closing-handshake/": [
        "close: by the server",
        "close: by the server, with a long reason",
        "close: by the server, after messages",
        "close: with another code by the server",
        "close: on a message of the page",
        "failure: connection dropped at once",
    ],
    "opening-handshake/": ["failure: handshake refused", "protocol: offered, none chosen"],
    "eventhandlers, opening and closing within handlers": ["events: what a handler may be", "close: within handlers"],
    "remove-own-iframe-during-onerror, unload-a-document/": ["end of a frame: removed", "end of a frame: navigated"],
    "RFC 6455: fragments, broken frames, text that is not UTF-8": [
        "fragments become one message",
        "failure: text that is not UTF-8",
        "failure: a frame that is none",
    ],
}
"""The groups of the web-platform-tests' folder `websockets/` that apply, and the cases of ours for each."""

NOT_APPLICABLE: Final = {
    "stream/": "WebSocketStream is an interface of its own, in no browser by default; it is left alone.",
    "*.worker.js, *.sharedworker.js": "Workers have no script of the page, so no shim; the script says so.",
    "cookies/": "Whose cookies go with the handshake is the agent's work, and tested there.",
    "Secure-*": "The same tests by wss; through the shim both are the page's own https.",
    "Create-blocked-port, Create-Secure-blocked-port": "Another port is another host: the browser's own socket.",
    "mixed-content*": "All requests of the shim go to the page's own origin.",
    "extended-payload-length, handlers/": "Frames are the agent's work: `send: long messages` covers their lengths.",
    "multi-globals/": "The shim takes the origin of the page that it was loaded in; each frame loads its own.",
    "back-forward-cache-*": "No page with an open websocket is kept for the back button; with the shim: test_shim.py.",
    "opening-handshake/005, permessage-deflate": "Compression is between agent and server; `extensions` is empty.",
    "keeping-connection-open/": "Twenty seconds of silence: the poll's limit, see test_shim.py.",
    "interfaces/*/isTrusted": "A script cannot make trusted events.",
}
"""The groups that do not apply, and why."""

_SOURCE: Final = (Path(__file__).parent / "cases.js").read_text(encoding="utf-8")
CASES: Final = re.findall(
    r'^  async (?:"([^"\n]+)"|(\w+))\(', _SOURCE.partition("\nconst cases = {\n")[2], re.MULTILINE
)
NAMES: Final = [quoted or plain for quoted, plain in CASES]


class Tab:
    """The page of the cases, in a tab of its own."""

    def __init__(self, chromium: Chrome, url: str) -> None:
        self._chromium = chromium
        chromium.switch_to.new_window("tab")
        self._window = chromium.current_window_handle
        self._url = f"{url}/page"
        self._load()

    def _load(self) -> None:
        self._chromium.get(self._url)
        assert self._chromium.execute_script("return window.cases") == NAMES

    @property
    def is_native(self) -> bool:
        self._chromium.switch_to.window(self._window)
        return bool(self._chromium.execute_script("return /native code/.test(WebSocket)"))

    def run(self, case: str) -> str:
        """What the page has seen, as text with a line for each event."""
        self._chromium.switch_to.window(self._window)
        record: str = self._chromium.execute_async_script(
            "const done = arguments[1]; run(arguments[0]).then(done, (error) => done(`${error} ${error.stack}`))", case
        )
        return record.replace("},{", "},\n{")

    def close(self) -> None:
        self._chromium.switch_to.window(self._window)
        self._chromium.close()
        self._chromium.switch_to.window(self._chromium.window_handles[0])


@pytest.fixture(scope="module")
def direct(chromium: Chrome, backend: PageServer) -> Iterator[Tab]:
    tab = Tab(chromium, backend.url)
    yield tab
    tab.close()


@pytest.fixture(scope="module")
def shimmed(chromium: Chrome, site: Site) -> Iterator[Tab]:
    tab = Tab(chromium, site.url)
    yield tab
    tab.close()


def test_one_page_has_the_browsers_own_websocket_and_the_other_the_shim(direct: Tab, shimmed: Tab) -> None:
    assert direct.is_native
    assert not shimmed.is_native


@pytest.mark.parametrize("case", NAMES)
def test_the_page_sees_the_same(direct: Tab, shimmed: Tab, case: str) -> None:
    expected = direct.run(case)

    assert expected.startswith("[{")
    assert shimmed.run(case) == expected


def test_each_case_has_its_place_in_the_table() -> None:
    placed = {case for cases in COVERED.values() for case in cases}

    assert placed == set(NAMES)
