"""A browser, the server behind the page, and the way through proxy and agent.

    chromium     the browser, for all tests of the run; each test leaves its tabs as it found them
    folder       where programs put their output
    backend      the server of `backend.py`
    standalone   a stand-alone proxy; `site` is `backend` behind it, with the shim

Where there is no Chromium, what needs one is skipped and says so: see `chromium.py`.
"""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import pytest
from selenium.webdriver import Chrome

from tests.browser.backend import PageServer
from tests.browser.chromium import started
from tests.system.processes import running
from tests.system.shapes import Site, Standalone
from tests.timing import SECOND

SHIM_FLAGS: Final = ("--shim-path=websocket-shim", "--shim-websockets")

_SHOWN: Final = 6000
"""How much of the end of each program's output is shown, in characters."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshot", metavar="FILE", help="Save JupyterLab's picture, for docs/recipes/jupyter.md.")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            # More than in other folders: a browser starts slowly on a busy machine.
            item.add_marker(pytest.mark.timeout(int(300 * SECOND)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and item.path.is_relative_to(Path(__file__).parent):
        for process in running():
            report.sections.append((f"{process.name} {process.pid}", process.printed()[-_SHOWN:]))
    return report


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with started(tmp_path_factory.mktemp("chromium")) as browser:
        browser.set_script_timeout(60 * SECOND)
        browser.set_page_load_timeout(60 * SECOND)
        yield browser


@pytest.fixture(scope="session")
def backend() -> Iterator[PageServer]:
    server = PageServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def standalone(folder: Path) -> Iterator[Standalone]:
    # Longer than a poll lasts.
    proxy = Standalone(folder, "--response-timeout=60s", "--idle-timeout=60s")
    yield proxy
    proxy.stop()


@pytest.fixture(scope="session")
def site(standalone: Standalone, backend: PageServer, folder: Path) -> Iterator[Site]:
    site = Site(standalone, backend.url, backend_id="browser", folder=folder)
    site.start_agent(*SHIM_FLAGS)
    site.wait_until_online()
    yield site
    site.close()
