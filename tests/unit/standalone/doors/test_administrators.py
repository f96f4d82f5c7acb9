"""The door of administrators: who comes in, and the API behind it as on App Engine."""

import asyncio
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable

import pytest
from flask import Flask

from api_service.app import create_app
from broker.errors import NotAllowed
from broker.policy import Policy
from edge.identity import Caller, Identity
from standalone.app import create_asgi
from standalone.calls import REQUEST_EXTENSION, Call, Scope
from standalone.doors.administrators import MAX_BODY_BYTES, Administrators, environ_of
from standalone.doors.dispatch import Door, Entrance
from stores.memory.store import MemoryStore
from tests.factories import a_backend
from tests.fakes.clock import FakeClock
from tests.unit.standalone.scripted import Peer, turns
from wire.headers import Headers
from wire.http1 import Length, RequestHead
from wire.protocol import RequestId

ADMIN = ("Authorization", "Bearer admin")
BACKEND = {
    "id": "notebook",
    "endUser": "allUsers",
    "backendUser": "agent@example.com",
    "pathPrefixes": ["/"],
    "agents": "standby",
}
EVERYTHING = Entrance(doors=frozenset(Door))


async def admin(caller: Caller) -> str:
    if caller.headers.get_all("Authorization") != ["Bearer admin"]:
        raise NotAllowed("no administrator", authenticated=False)
    return "ada"


class Api:
    """A proxy with all doors on one port; to be made in an event loop."""

    def __init__(self, make_app: Callable[[Identity], Flask] | None = None) -> None:
        self.policy, self.clock = Policy(), FakeClock()
        self.store = MemoryStore(self.policy)
        self.made = 0
        api = Administrators(admin=admin, make_app=make_app or self._make_app, policy=self.policy)
        self.app = create_asgi(
            store=self.store,
            clock=self.clock,
            policy=self.policy,
            new_id=lambda: RequestId("request-1"),
            api=api,
        )

    def _make_app(self, identity: Identity) -> Flask:
        self.made += 1
        return create_app(
            store=self.store,
            clock=self.clock,
            identity=identity,
            policy=self.policy,
            trusts_cron_field=False,
            deletes_stale_backends=False,
            has_options=True,
        )

    def start(
        self, method: str, target: str, *fields: tuple[str, str], body: bytes = b"", length: Length = None
    ) -> Peer:
        length = length if length is not None else len(body) or None
        scope = scope_of(RequestHead(method, target, Headers([("Host", "h"), *fields]), length))
        app = self.app.at(EVERYTHING)
        return Peer(app, scope, [body], sends=1 << 30)  # type: ignore[arg-type]

    async def call(self, method: str, target: str, *fields: tuple[str, str], body: object = None) -> Peer:
        data = json.dumps(body).encode() if body is not None else b""
        return await self.start(method, target, *(fields or [ADMIN]), body=data).done()


def scope_of(head: RequestHead) -> Scope:
    return {
        "type": "http",
        "scheme": "https",
        "client": ("192.0.2.7", 1),
        "extensions": {REQUEST_EXTENSION: {"head": head}},
    }


def run(scenario: Callable[[Api], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario(Api())

    asyncio.run(main())


def test_backends_are_registered_listed_and_deleted_with_options() -> None:
    async def scenario(api: Api) -> None:
        added = await api.call("POST", "/api/backends", body=BACKEND)
        listed = await api.call("GET", "/api/backends")
        one = await api.call("GET", "/api/backends/notebook")
        deleted = await api.call("DELETE", "/api/backends/notebook")

        assert [peer.status for peer in (added, listed, one, deleted)] == [200, 200, 200, 200]
        assert json.loads(listed.body) == [json.loads(one.body)] == [BACKEND | {"lastUsed": "1970-01-01T00:00:00Z"}]
        assert api.store.list_backends() == []
        assert api.made == 1

    run(scenario)


def test_an_id_that_the_original_registered_can_be_deleted() -> None:
    async def scenario(api: Api) -> None:
        api.store.put_backend(a_backend("caf\xe9 a/b"))

        assert (await api.call("DELETE", "/api/backends/caf%C3%A9%20a%2Fb")).status == 200

    run(scenario)


@pytest.mark.parametrize(
    ("method", "target", "status", "reason"),
    [
        ("GET", "/api/backends/nobody", 404, "no-backend"),
        ("PUT", "/api/backends", 405, "method-not-allowed"),
        ("POST", "/api/backends", 400, "invalid-backend"),
    ],
)
def test_errors_are_those_of_the_api_in_json(method: str, target: str, status: int, reason: str) -> None:
    async def scenario(api: Api) -> None:
        answer = await api.call(method, target)

        assert (answer.status, json.loads(answer.body)["error"]["reason"]) == (status, reason)

    run(scenario)


def test_who_is_no_administrator_is_told_so_in_json_before_the_api_is_even_made(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    async def scenario(api: Api) -> None:
        answer = await api.call("DELETE", "/api/backends/notebook", ("Accept", "text/html"))

        assert (answer.status, json.loads(answer.body)["error"]["reason"]) == (401, "not-authenticated")
        assert api.made == 0

    run(scenario)
    assert [line for line in caplog.messages if "refused=not-authenticated" in line]
    assert [line for line in caplog.messages if "DELETE /api/backends/notebook 401" in line]


def test_a_change_is_one_line_in_the_log_and_names_who_made_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def scenario(api: Api) -> None:
        await api.call("POST", "/api/backends", body=BACKEND)

    run(scenario)
    assert len([line for line in caplog.messages if "POST /api/backends 200" in line]) == 1
    assert [line for line in caplog.messages if line.startswith("audit: put-backend by=ada peer=192.0.2.7")]


def test_what_looks_like_the_api_and_is_not_goes_to_users() -> None:
    async def scenario(api: Api) -> None:
        answer = await api.call("GET", "/api/contents", ("Accept", "application/json"))

        assert json.loads(answer.body)["error"]["reason"] == "no-backend"
        assert api.made == 0

    run(scenario)


@pytest.mark.parametrize("length", [MAX_BODY_BYTES + 1, "chunked"])
def test_a_body_over_the_limit_is_refused(length: Length) -> None:
    async def scenario(api: Api) -> None:
        body = b" " * (MAX_BODY_BYTES + 1) if length == "chunked" else b""
        answer = await api.start("POST", "/api/backends", ADMIN, body=body, length=length).done()

        assert (answer.status, json.loads(answer.body)["error"]["reason"]) == (413, "too-large")
        assert api.made == 0

    run(scenario)


def test_a_body_without_an_announced_length_is_read() -> None:
    async def scenario(api: Api) -> None:
        body = json.dumps(BACKEND).encode()

        assert (await api.start("POST", "/api/backends", ADMIN, body=body, length="chunked").done()).status == 200

    run(scenario)


def test_head_is_as_long_as_get_and_has_no_body() -> None:
    async def scenario(api: Api) -> None:
        got, asked = await api.call("GET", "/api/backends"), await api.call("HEAD", "/api/backends")

        assert (asked.status, asked.body) == (200, b"")
        assert asked.fields["Content-Length"] == got.fields["Content-Length"]

    run(scenario)


def test_a_foreign_page_changes_nothing_whatever_token_it_has() -> None:
    async def scenario(api: Api) -> None:
        answer = await api.call("POST", "/api/backends", ADMIN, ("Origin", "https://evil.example"), body=BACKEND)

        assert (answer.status, api.store.list_backends()) == (403, [])

    run(scenario)


def test_more_calls_than_wait_for_threads_are_refused_at_once() -> None:
    async def main() -> None:
        is_over = threading.Event()

        def make_slow_app(identity: Identity) -> Flask:
            is_over.wait(10)
            return Flask("slow")

        api = Api(make_slow_app)
        waiting = [api.start("GET", "/api/backends", ADMIN) for _ in range(64)]
        await turns()
        refused = await api.call("GET", "/api/backends")
        is_over.set()

        assert (refused.status, json.loads(refused.body)["error"]["reason"]) == (503, "overloaded")
        assert {(await peer.done()).status for peer in waiting} == {404}

    asyncio.run(main())


def test_the_environ_has_what_was_sent_and_no_field_that_could_be_taken_for_another() -> None:
    fields = [("Host", "h"), ("X-A", "1"), ("x-a", "2"), ("Sec_Fetch_Site", "none"), ("Content-Type", "text/plain")]
    head = RequestHead("GET", "http://other/%C3%A9%2F?a=%20&b", Headers(fields), None)

    async def nothing() -> dict[str, object]:
        return {}

    environ = environ_of(Call(scope_of(head), nothing, lambda message: nothing(), clock=FakeClock()), b"x")  # type: ignore[arg-type, return-value]

    assert {name: value for name, value in environ.items() if "wsgi" not in name} == {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/\xc3\xa9/",
        "QUERY_STRING": "a=%20&b",
        "RAW_URI": "/%C3%A9%2F?a=%20&b",
        "SERVER_NAME": "proxy",
        "SERVER_PORT": "0",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7",
        "CONTENT_LENGTH": "1",
        "CONTENT_TYPE": "text/plain",
        "HTTP_HOST": "other",
        "HTTP_X_A": "1,2",
    }


def test_flask_is_not_imported_until_somebody_calls() -> None:
    program = "import sys, standalone.composition; sys.exit('flask' in sys.modules or 'werkzeug' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
