"""The composition roots: each starts from its environment, without a network, and refuses what is unsafe."""

import importlib
import logging
import sys
from collections.abc import Iterator
from contextvars import copy_context

import pytest
from flask import Flask
from google.appengine.api import apiproxy_stub_map
from google.appengine.runtime.context import gae_headers

from edge.settings import SettingsError

SERVICES = ("proxy_service", "agent_service", "api_service")
DEV = {
    "IDENTITY": "dev",
    "ADMINS": "admin@example.com",
    "GOOGLE_CLOUD_PROJECT": "demo",
    "DATASTORE_EMULATOR_HOST": "127.0.0.1:1",
}


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A service whose root has not been imported, and the log as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    for name in ("IDENTITY", "ADMINS", "GAE_ENV", "LOG_FORMAT", "DELETE_STALE_BACKENDS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in DEV.items():
        monkeypatch.setenv(name, value)
    yield request.param
    sys.modules.pop(f"{request.param}.main", None)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_service_starts_from_its_environment(service: str) -> None:
    app = importlib.import_module(f"{service}.main").app

    assert isinstance(app, Flask)
    assert app.name == service


def test_a_service_refuses_an_identity_that_is_unsafe_here(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAE_ENV", "standard")

    with pytest.raises(SettingsError, match=r"^IDENTITY: dev"):
        importlib.import_module(f"{service}.main")


def test_the_sweep_of_registrations_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = importlib.import_module("api_service.settings").Settings

    assert settings.from_env(DEV).deletes_stale_backends is False
    assert settings.from_env(DEV | {"DELETE_STALE_BACKENDS": "true"}).deletes_stale_backends is True
    with pytest.raises(SettingsError, match=r"^DELETE_STALE_BACKENDS: "):
        settings.from_env(DEV | {"DELETE_STALE_BACKENDS": "1"})


@pytest.mark.parametrize("service", ["proxy_service", "agent_service"], indirect=True)
def test_on_app_engine_hints_are_in_its_memcache_with_the_ticket_of_each_request(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apiproxy_stub_map, "apiproxy", apiproxy_stub_map.APIProxyStubMap())
    monkeypatch.setenv("IDENTITY", "appengine")
    monkeypatch.setenv("GAE_ENV", "standard")
    main = importlib.import_module(f"{service}.main")
    context = copy_context()
    context.run(main.app.test_client().get, "/_ah/warmup", headers={"X-Appengine-Api-Ticket": "ticket"})

    assert main.hints is not None
    assert context[gae_headers.API_TICKET] == "ticket"
