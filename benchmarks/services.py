"""The App Engine services as systems: by their yaml files' entrypoints, each set over an emulator of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.measured import HINTS
from benchmarks.systems import AGENT, System
from tests.memcached import start_memcached
from tests.system.shapes import AppEngine, Site

MEMCACHED: Final = "memcached"


Reach = Callable[[str, str], str]
"""Where services, by their name, find an emulator at `HOST:PORT`: there, or at something that stands between."""


def directly(name: str, emulator: str) -> str:
    """Where it is."""
    return emulator


@contextmanager
def serving(name: str, folder: Path, *, backend: int, reach: Reach) -> Iterator[System]:
    """All three, and an agent of the backend's port. Raises `Missing`."""
    folder.mkdir()
    with ExitStack() as stack:
        settings, parts = {}, {}
        if name == HINTS:
            parts[MEMCACHED], port = start_memcached(folder / "memcached.log")
            stack.callback(parts[MEMCACHED].kill)
            settings["MEMCACHE"] = f"127.0.0.1:{port}"
        shape = AppEngine(folder, reach=partial(reach, name), **settings)
        stack.callback(shape.stop)
        site = Site(shape, f"http://127.0.0.1:{backend}", backend_id="bench", folder=folder)
        agent = site.start_agent()
        stack.callback(agent.kill)
        site.wait_until_online()
        yield System(name, int(shape.url.rpartition(":")[2]), {**shape.parts, AGENT: agent, **parts}, [])
