"""The administrators' API: what the original's curl lines do, and what is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api_service.app import MAX_JSON_BYTES, create_app
from broker.errors import NotAllowed, StoreUnavailable, UnknownBackend
from broker.policy import Policy
from stores.memory.store import MemoryStore
from tests.factories import a_backend, an_exchange
from tests.fakes.clock import NOON, FakeClock
from tests.fakes.identity import FakeIdentity
from wire.protocol import ERROR, BackendId

BACKEND: dict[str, object] = {
    "id": "notebook",
    "endUser": "user@example.com",
    "backendUser": "agent@example.com",
    "pathPrefixes": ["/"],
}


class Api:
    """The service over a memory store at noon, called by an administrator."""

    def __init__(
        self,
        *,
        trusts_cron_field: bool = False,
        deletes_stale_backends: bool = False,
        kind: type[MemoryStore] = MemoryStore,
        clock: FakeClock | None = None,
    ) -> None:
        self.clock = clock or FakeClock()
        self.store = kind(Policy())
        self.identity = FakeIdentity(admin_account="admin@example.com")
        self.client: FlaskClient = create_app(
            store=self.store,
            clock=self.clock,
            identity=self.identity,
            policy=Policy(),
            trusts_cron_field=trusts_cron_field,
            deletes_stale_backends=deletes_stale_backends,
        ).test_client()

    def post(self, body: object, **more: Any) -> TestResponse:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post("/api/backends", data=data, **more)


def test_a_backend_is_registered_whatever_type_curl_says_it_has() -> None:
    api = Api()
    answered = api.post(BACKEND, content_type="application/x-www-form-urlencoded")

    assert answered.status_code == 200
    assert api.store.list_backends() == [a_backend(end_user="user@example.com", backend_user="agent@example.com")]


def test_registering_answers_with_what_is_registered() -> None:
    assert Api().post(BACKEND).get_json() == BACKEND | {"lastUsed": "1970-01-01T00:00:00Z"}


def test_hosts_are_registered_here_and_options_of_the_stand_alone_proxy_are_not() -> None:
    api = Api()
    api.post(BACKEND | {"hosts": ["app.example.org"]})
    refused = api.post(BACKEND | {"agents": "standby"})

    assert [backend.hosts for backend in api.store.list_backends()] == [("app.example.org",)]
    assert refused.get_json()["error"]["details"] == ["agents: the stand-alone proxy alone has this"]


def test_the_same_id_replaces() -> None:
    api = Api()
    api.post(BACKEND)
    api.post(BACKEND | {"endUser": "allUsers", "pathPrefixes": ["/a", "/b/"]})

    assert [(b.end_user, b.path_prefixes) for b in api.store.list_backends()] == [("allUsers", ("/a", "/b/"))]


def test_backends_are_listed_with_the_time_of_their_last_use() -> None:
    api = Api()
    api.post(BACKEND)
    api.post(BACKEND | {"id": "other"})
    api.store.touch_backend(BackendId("other"), used=NOON + timedelta(milliseconds=1500))

    assert [(b["id"], b["lastUsed"]) for b in api.client.get("/api/backends").get_json()] == [
        ("notebook", "1970-01-01T00:00:00Z"),
        ("other", "2026-05-17T12:00:01Z"),
    ]


def test_no_backends_are_an_empty_list() -> None:
    answered = Api().client.get("/api/backends")

    assert (answered.status_code, answered.get_json(), answered.mimetype) == (200, [], "application/json")


def test_what_was_listed_can_be_put_back() -> None:
    api = Api()
    api.post(BACKEND)

    assert api.post(api.client.get("/api/backends/notebook").get_json()).status_code == 200


def test_one_backend_can_be_looked_up() -> None:
    api = Api()
    api.post(BACKEND)

    assert api.client.get("/api/backends/notebook").get_json()["backendUser"] == "agent@example.com"
    assert api.client.get("/api/backends/other").status_code == 404


@pytest.mark.parametrize(
    ("stored", "url"),
    [
        ("notebook", "notebook"),
        ("a/b", "a/b"),
        ("a/b", "a%2Fb"),
        ("/lead", "%2Flead"),
        ("/lead", "/lead"),
        ("trail/", "trail/"),
        ("a//b", "a//b"),
        ("two words", "two%20words"),
        ("caf\xe9?#", "caf%C3%A9%3F%23"),
        ("..", "%2E%2E"),
    ],
)
def test_every_registered_backend_can_be_deleted_also_one_of_the_original(stored: str, url: str) -> None:
    api = Api()
    api.store.put_backend(a_backend(stored))
    answered = api.client.delete(f"/api/backends/{url}")

    assert (answered.status_code, answered.data) == (200, b"")
    with pytest.raises(UnknownBackend):
        api.store.get_backend(BackendId(stored))


def test_deleting_what_is_not_there_is_404() -> None:
    answered = Api().client.delete("/api/backends/notebook")

    assert (answered.status_code, answered.get_json()["error"]["reason"]) == (404, "no-backend")


def test_a_wrong_body_is_400_and_names_every_field() -> None:
    error = Api().post({"id": "a b", "endUser": "", "pathPrefixes": ["x"], "more": 1}).get_json()["error"]

    assert (error["status"], error["reason"]) == (400, "invalid-backend")
    assert [detail.partition(":")[0] for detail in error["details"]] == [
        "id",
        "endUser",
        "backendUser",
        "pathPrefixes",
        "'more'",
    ]


def test_a_wrong_body_registers_nothing() -> None:
    api = Api()
    api.post({})

    assert api.store.list_backends() == []


def test_a_huge_body_is_413() -> None:
    assert Api().post(b" " * (MAX_JSON_BYTES + 1)).status_code == 413


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/backends"),
        ("POST", "/api/backends"),
        ("GET", "/api/backends/x"),
        ("DELETE", "/api/backends/x"),
        ("GET", "/cron/delete"),
        ("POST", "/cron/delete"),
    ],
)
@pytest.mark.parametrize(("error", "status"), [(None, 401), (NotAllowed("no", authenticated=True), 403)])
def test_only_an_administrator_may(method: str, path: str, error: Exception | None, status: int) -> None:
    api = Api()
    api.identity.admin_account = None
    api.identity.error = error
    answered = api.client.open(path, method=method, headers={"X-Appengine-Cron": "true", "Cookie": "SACSID=admin"})

    assert (answered.status_code, answered.mimetype) == (status, "application/json")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/api/backends", 405),
        ("OPTIONS", "/api/backends", 405),
        ("POST", "/api/backends/x", 405),
        ("PUT", "/cron/delete", 405),
        ("GET", "/api/backends/", 404),
        ("GET", "/api", 404),
        ("GET", "/", 404),
        ("GET", "//api/backends/", 404),
    ],
)
def test_other_paths_and_methods_are_errors_in_json(method: str, path: str, status: int) -> None:
    answered = Api().client.open(path, method=method)

    assert (answered.status_code, answered.get_json()["error"]["status"]) == (status, status)


def test_a_service_that_is_down_is_503() -> None:
    api = Api()
    api.identity.error = StoreUnavailable("down")
    answered = api.client.get("/api/backends")

    assert (answered.status_code, answered.headers[ERROR]) == (503, "store-unavailable")
    assert "Retry-After" in answered.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_foreign_page_can_change_nothing(headers: dict[str, str]) -> None:
    api = Api()
    api.store.put_backend(a_backend())

    assert api.post(BACKEND | {"id": "new"}, headers=headers).status_code == 403
    assert api.client.delete("/api/backends/notebook", headers=headers).status_code == 403
    assert [backend.backend_id for backend in api.store.list_backends()] == ["notebook"]


def test_a_page_of_the_same_host_may() -> None:
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost", "Host": "localhost"}

    assert Api().post(BACKEND, headers=headers).status_code == 200


def test_the_sweep_takes_what_was_abandoned_and_counts_it() -> None:
    api = Api()
    api.store.add_exchange(an_exchange("old", expires=NOON), b"x", last=True)
    api.store.add_exchange(an_exchange("new"), b"x", last=True)
    answered = api.client.post("/cron/delete")

    assert answered.get_json() == {"exchanges": 1, "backends": [], "complete": True}


def test_a_sweep_that_has_not_come_to_its_end_in_nine_minutes_says_so() -> None:
    clock = FakeClock()

    class Endless(MemoryStore):
        def sweep(self, *, now: datetime, is_over: Callable[[], bool] = lambda: False) -> int:
            while not is_over():
                clock.advance(timedelta(minutes=2))
            return 1000

    answered = Api(kind=Endless, clock=clock).client.post("/cron/delete")

    assert answered.get_json() == {"exchanges": 1000, "backends": [], "complete": False}
    assert clock.now() == NOON + timedelta(minutes=10)


def test_the_platforms_timer_may_sweep_where_its_field_can_be_trusted() -> None:
    api = Api(trusts_cron_field=True)
    api.identity.admin_account = None

    assert api.client.get("/cron/delete", headers={"X-Appengine-Cron": "true"}).status_code == 200
    assert api.client.get("/cron/delete").status_code == 401
    assert api.client.get("/api/backends", headers={"X-Appengine-Cron": "true"}).status_code == 401


@pytest.mark.parametrize("asked", [False, True])
def test_stale_registrations_go_only_where_it_is_asked_for(asked: bool) -> None:
    api = Api(deletes_stale_backends=asked)
    for name, polled in (("fresh", NOON), ("stale", NOON - timedelta(hours=2)), ("new", None)):
        api.store.put_backend(replace(a_backend(name), backend_user=name))
        api.store.touch_backend(BackendId(name), polled=polled)
    answered = api.client.get("/cron/delete").get_json()

    assert answered["backends"] == (["stale"] if asked else [])
    assert {b.backend_id for b in api.store.list_backends()} == {"fresh", "new"} | (set() if asked else {"stale"})


class Raced(MemoryStore):
    """Somebody else deletes at the same time."""

    def delete_backend(self, backend_id: BackendId) -> None:
        super().delete_backend(backend_id)
        super().delete_backend(backend_id)


def test_a_stale_registration_that_somebody_else_removes_is_not_counted() -> None:
    api = Api(deletes_stale_backends=True, kind=Raced)
    api.store.put_backend(a_backend("stale"))
    api.store.touch_backend(BackendId("stale"), polled=NOON - timedelta(hours=2))

    assert api.client.get("/cron/delete").get_json()["backends"] == []


def test_each_change_is_audited(caplog: pytest.LogCaptureFixture) -> None:
    api = Api()
    caplog.set_level("INFO", "inverting_proxy.audit")
    api.post(BACKEND)
    api.client.delete("/api/backends/notebook")

    assert [message for message in caplog.messages if message.startswith("audit: ")] == [
        "audit: put-backend by=admin@example.com peer=127.0.0.1 backend=notebook "
        "backend_user=agent@example.com end_user=user@example.com",
        "audit: delete-backend by=admin@example.com peer=127.0.0.1 backend=notebook",
    ]


def test_each_refusal_is_audited(caplog: pytest.LogCaptureFixture) -> None:
    api = Api()
    api.identity.admin_account = None
    api.client.delete("/api/backends/notebook?token=secret")

    assert [message for message in caplog.messages if message.startswith("audit: ")] == [
        'audit: DELETE /api/backends/notebook refused=not-authenticated peer=127.0.0.1 because="no credentials"'
    ]
