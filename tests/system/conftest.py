"""Shapes, sites and backends as fixtures; and what the programs printed, shown when a test fails.

One site is served at a time, because every request goes to the backend that was polled last: a module uses either
`site` and `serve`, or `serve_fresh`.
"""

from collections.abc import Callable, Generator, Iterator
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from tests.memcached import require_memcached
from tests.system.backends import Httpbin, Peer
from tests.system.processes import running
from tests.system.shapes import RESPONSE_TIMEOUT, AppEngine, Shape, Site, Standalone
from tests.system.unreliable_memcached import start_unreliable_memcached
from tests.timing import SECOND

_SHOWN: Final = 6000
"""How much of the end of each program's output is shown, in characters."""

HINTED: Final = "hints"

_numbers = count()

Serve = Callable[..., Site]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "system: real programs over loopback; every test in this folder")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.system)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for process in running():
            report.sections.append((f"{process.name} {process.pid}", process.printed()[-_SHOWN:]))
    return report


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the programs of this run put their output."""
    return tmp_path_factory.mktemp("system")


@pytest.fixture(scope="session")
def peer(folder: Path) -> Iterator[Peer]:
    """The backend that records and misbehaves."""
    peer = Peer(folder)
    yield peer
    peer.stop()


@pytest.fixture(scope="session")
def httpbin(folder: Path) -> Iterator[Httpbin]:
    """A backend that nobody wrote for this."""
    httpbin = Httpbin(folder)
    yield httpbin
    httpbin.stop()


@pytest.fixture(scope="session")
def appengine(folder: Path) -> Iterator[AppEngine]:
    """The three services: they take seconds to start, so there is one set for all tests."""
    appengine = AppEngine(folder)
    yield appengine
    appengine.stop()


@pytest.fixture(scope="session")
def hinted_appengine(folder: Path) -> Iterator[AppEngine]:
    """The same with a memcached that fails at random."""
    require_memcached()
    folder = folder / HINTED
    folder.mkdir()
    processes, address = start_unreliable_memcached(folder)
    appengine = AppEngine(folder, MEMCACHE=address)
    yield appengine
    appengine.stop()
    for process in processes:
        process.kill()


@pytest.fixture(scope="module", params=["standalone", "appengine", HINTED])
def shape_name(request: pytest.FixtureRequest) -> str:
    """Every scenario runs on both shapes, and on App Engine's with hints, too: of a memcache that fails at random."""
    name: str = request.param
    return name


@pytest.fixture
def at_once(shape_name: str) -> float:
    """Seconds in which anything is over that no time limit has to end. Where hints are lost, agent and user come to it
    by looks that are seconds apart."""
    return RESPONSE_TIMEOUT - SECOND if shape_name == HINTED else 2 * SECOND


def _a_shape(name: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Shape]:
    if name in ("appengine", HINTED):
        yield request.getfixturevalue("appengine" if name == "appengine" else "hinted_appengine")
    else:
        standalone = Standalone(folder)
        yield standalone
        standalone.stop()


@pytest.fixture(scope="module")
def shape(shape_name: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Shape]:
    """A proxy for all tests of a module."""
    yield from _a_shape(shape_name, request, folder)


@pytest.fixture
def fresh_shape(shape_name: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Shape]:
    """A proxy without the traces of other tests, as far as starting one is cheap."""
    yield from _a_shape(shape_name, request, folder)


def _serve(shape: Shape, folder: Path) -> Generator[Serve, None, None]:
    served: list[Site] = []

    def end() -> None:
        while served:
            served.pop().close()

    def serve(backend_url: str, *flags: str, agents: int = 1) -> Site:
        end()
        site = Site(shape, backend_url, backend_id=f"backend-{next(_numbers)}", folder=folder)
        served.append(site)
        for _ in range(agents):
            site.start_agent(*flags)
        if agents:
            site.wait_until_online()
        return site

    yield serve
    end()


@pytest.fixture(scope="module")
def serve(shape: Shape, folder: Path) -> Iterator[Serve]:
    """Put a backend behind the module's proxy, in the place of the one before."""
    yield from _serve(shape, folder)


@pytest.fixture
def serve_fresh(fresh_shape: Shape, folder: Path) -> Iterator[Serve]:
    """The same for the test's own proxy, for tests that stop and kill."""
    yield from _serve(fresh_shape, folder)


@pytest.fixture(scope="module")
def site(serve: Serve, peer: Peer) -> Site:
    """The recording backend, behind the module's proxy."""
    return serve(peer.url)
