"""What holds for every test: no traffic but loopback, and only where it is asked for; bounded generated examples."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

LOOPBACK_HOSTS = ["127.0.0.1", "::1"]

LOOPBACK_FOLDERS = ("system", "agent", "standalone", "browser")
"""Folders beside this file all of whose tests talk over loopback; elsewhere a test says so: `pytest.mark.loopback`."""

settings.register_profile("default", deadline=None, max_examples=100)
settings.register_profile("ci", deadline=None, max_examples=300, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.path.relative_to(here).parts[0] in LOOPBACK_FOLDERS:
            item.add_marker(pytest.mark.loopback)
        if item.get_closest_marker("loopback"):
            # Everything else is refused a socket by `--disable-socket`.
            item.add_marker(pytest.mark.allow_hosts(LOOPBACK_HOSTS))
