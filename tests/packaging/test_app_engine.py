"""The yaml files, read by the SDK's own classes: what App Engine would be told."""

import shlex
from pathlib import Path
from typing import Any

import pytest
from google.appengine.api import appinfo, croninfo, dispatchinfo

from broker.policy import Policy

ROOT = Path(__file__).resolve().parents[2]
SERVICES = {"app.yaml": "proxy_service", "agent_service.yaml": "agent_service", "api_service.yaml": "api_service"}


def load(name: str) -> Any:
    """The SDK has no types."""
    return appinfo.LoadSingleAppInfo((ROOT / name).read_text("utf-8"))


def flags(info: Any) -> dict[str, str]:
    """The flags of an entrypoint that have a value, without their dashes."""
    words = shlex.split(info.entrypoint)
    return dict(word.removeprefix("--").split("=", 1) for word in words if "=" in word)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning", "ignore::DeprecationWarning")
def test_app_engine_reads_that_no_index_is_asked_for() -> None:
    from google.appengine.datastore import datastore_index  # its import warns: old code of the SDK

    assert not datastore_index.ParseIndexDefinitions((ROOT / "index.yaml").read_text("utf-8")).indexes


def test_the_services_are_called_as_the_originals() -> None:
    assert [load(name).service for name in SERVICES] == [None, "agent", "api"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_runs_with_the_bundled_services_and_the_identity_of_app_engine(name: str) -> None:
    info = load(name)
    assert info.runtime == "python313"
    assert info.app_engine_apis is True
    assert dict(info.env_variables)["IDENTITY"] == "appengine"


@pytest.mark.parametrize(("name", "package"), SERVICES.items())
def test_an_entrypoint_starts_its_own_service_in_threads(name: str, package: str) -> None:
    words = shlex.split(load(name).entrypoint)
    assert words[:2] == ["exec", "gunicorn"]  # the SDK has put the `exec` before it, as App Engine does
    assert words[-1] == f"{package}.main:app"
    assert flags(load(name))["worker-class"] == "gthread"


@pytest.mark.parametrize("name", SERVICES)
def test_as_many_requests_come_to_an_instance_as_it_has_threads(name: str) -> None:
    info = load(name)
    threads = int(flags(info)["threads"]) * int(flags(info)["workers"])
    assert int(info.automatic_scaling.max_concurrent_requests) == threads


@pytest.mark.parametrize("name", SERVICES)
def test_no_worker_is_taken_for_dead_during_a_long_poll(name: str) -> None:
    policy = Policy()
    longest = max(policy.list_wait, policy.response_wait, policy.idle_wait)
    assert int(flags(load(name))["timeout"]) > 2 * longest.total_seconds()


@pytest.mark.parametrize("name", SERVICES)
def test_the_number_of_instances_is_bounded(name: str) -> None:
    assert 1 <= int(load(name).automatic_scaling.max_instances) <= 10


@pytest.mark.parametrize("name", SERVICES)
def test_long_targets_and_many_fields_get_through_to_the_service(name: str) -> None:
    limits = flags(load(name))
    assert int(limits["limit-request-line"]) == 0
    assert int(limits["limit-request-fields"]) >= 200
    assert int(limits["limit-request-field_size"]) >= 16384


@pytest.mark.parametrize("name", ["app.yaml", "agent_service.yaml"])
def test_there_is_a_connection_to_the_bundled_services_for_each_thread(name: str) -> None:
    info = load(name)
    assert int(dict(info.env_variables)["POOL_SIZE_URLLIB3"]) == int(flags(info)["threads"])


@pytest.mark.parametrize("name", SERVICES)
def test_an_instance_is_warmed_up_by_app_engine_alone(name: str) -> None:
    info = load(name)
    assert info.inbound_services == ["warmup"]
    assert [(info.handlers[0].url, info.handlers[0].login)] == [("/_ah/warmup", "admin")]


@pytest.mark.parametrize("name", SERVICES)
def test_everything_else_comes_over_https(name: str) -> None:
    last = load(name).handlers[-1]
    assert (last.url, last.script, last.secure) == ("/.*", "auto", "always")


def test_users_log_in_and_agents_and_administrators_bring_tokens() -> None:
    assert [load(name).handlers[-1].login for name in SERVICES] == ["required", "optional", "optional"]


def test_the_sweep_is_for_cron_and_administrators() -> None:
    (handler,) = [handler for handler in load("api_service.yaml").handlers if handler.url.startswith("/cron/")]
    assert handler.login == "admin"


def test_the_dispatch_rules_take_no_path_from_a_backend_but_these() -> None:
    (rules,) = [dispatchinfo.LoadSingleDispatch((ROOT / "dispatch.yaml").read_text("utf-8")).dispatch]
    assert [(rule.url, rule.service) for rule in rules] == [
        ("*/agent/pending", "agent"),
        ("*/agent/request", "agent"),
        ("*/agent/response", "agent"),
        ("*/api/backends", "api"),
        ("*/api/backends/*", "api"),
    ]


def test_abandoned_requests_are_swept_every_few_minutes() -> None:
    (job,) = croninfo.LoadSingleCron((ROOT / "cron.yaml").read_text("utf-8")).cron
    assert (job.url, job.target, job.schedule) == ("/cron/delete", "api", "every 5 minutes")
