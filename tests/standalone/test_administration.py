"""Backends that administrators register: over the API, in the file of settings, and after a restart."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from standalone.identity.tokens import Entry, digest_of
from tests.standalone.by_hand import OK, Agent, ask
from tests.standalone.conftest import introduce
from tests.system.processes import Process, interpreter
from tests.system.rawhttp import Connection, Reply, request_bytes
from tests.timing import SECOND

Field = tuple[str, str]

ADMIN: Field = ("Authorization", "Bearer admins-token")
AGENT: Field = ("Authorization", "Bearer agents-token")
NOTEBOOK = {"id": "notebook", "endUser": "allUsers", "backendUser": "robot", "pathPrefixes": ["/"]}
FIXED = '[[backends]]\nid = "fixed"\nend-user = "allUsers"\nbackend-user = "robot"\nhosts = ["fixed.example"]\n'


@dataclass(frozen=True)
class Served:
    """A running proxy, and where its users, with agents, and its administrators connect."""

    process: Process
    url: str
    api: str

    def call(self, method: str, target: str, *fields: Field, body: object = None) -> Reply:
        data = json.dumps(body).encode() if body is not None else None
        with Connection(self.api) as connection:
            connection.send(request_bytes(method, target, host=connection.host, fields=fields or [ADMIN], body=data))
            return connection.read_reply(method)

    def listed(self) -> dict[str, dict[str, Any]]:
        return {each["id"]: each for each in json.loads(self.call("GET", "/api/backends").body)}

    def answered_at(self, host: str, *, by: str) -> bool:
        """True when an agent of this backend gets a request for this host, and answers it."""
        agent = KnownAgent(self.url, backend_id=by)
        introduce(agent)
        with ask_at(self.url, host) as user:
            request_id, _ = agent.take()
            agent.post(request_id, OK)
            return user.read_reply().body == b"ok"


class KnownAgent(Agent):
    """An agent with the token of its account."""

    @property
    def fields(self) -> list[Field]:
        return [*super().fields, AGENT]


def ask_at(url: str, host: str) -> Connection:
    connection = Connection(url)
    connection.send(request_bytes("GET", "/", host=host))
    return connection


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts proxies, one after the other, over one database."""
    started: list[Process] = []
    for name, account in (("agents", "robot"), ("admins", "ada")):
        line = Entry(account=account, digest=digest_of(f"{name}-token")).line()
        (tmp_path / name).write_text(f"{line}\n")

    def serve_one(more: str = "", *, limits: str = "") -> Served:
        (tmp_path / "proxy.toml").write_text(
            f'[listen]\nusers = "127.0.0.1:0"\napi = "127.0.0.1:0"\n[users]\nsign-in = "public"\n'
            f'[agents]\ntokens = "{tmp_path}/agents"\n[administrators]\ntokens = "{tmp_path}/admins"\n'
            f'[storage]\ndatabase = "{tmp_path}/proxy.sqlite3"\n[limits]\n{limits}\n{more}'
        )
        argv = [interpreter("standalone"), "-m", "standalone", f"--config={tmp_path / 'proxy.toml'}"]
        process = Process("standalone", argv, log=tmp_path / f"standalone-{len(started)}.log")
        started.append(process)
        process.wait_for_url()
        url, api = re.findall(r"Listening on (\S+)", process.printed())
        return Served(process, url, api)

    yield serve_one
    for process in started:
        process.stop()


def test_what_is_registered_is_served_and_outlives_the_proxy(serve: Callable[..., Served]) -> None:
    first = serve()
    assert first.call("POST", "/api/backends", body=NOTEBOOK).status == 200
    assert first.answered_at("any.example", by="notebook")
    first.process.kill()

    second = serve()

    assert second.listed()["notebook"]["pathPrefixes"] == ["/"]
    assert second.listed()["notebook"]["lastUsed"] > "2026"
    assert second.answered_at("any.example", by="notebook")


def test_what_is_deleted_stays_deleted(serve: Callable[..., Served]) -> None:
    first = serve()
    first.call("POST", "/api/backends", body=NOTEBOOK)
    assert first.call("DELETE", "/api/backends/notebook").status == 200
    first.process.stop()

    assert serve().listed() == {}


def test_backends_of_the_file_are_served_at_their_hosts_and_the_api_leaves_them(serve: Callable[..., Served]) -> None:
    served = serve(FIXED)
    served.call("POST", "/api/backends", body=NOTEBOOK)

    assert served.answered_at("Fixed.example:80", by="fixed")
    assert served.answered_at("other.example", by="notebook")
    for method, target, body in (
        ("POST", "/api/backends", NOTEBOOK | {"id": "fixed"}),
        ("DELETE", "/api/backends/fixed", None),
    ):
        refused = served.call(method, target, body=body)
        assert (refused.status, refused.reason) == (409, "fixed-backend")
    assert served.listed()["fixed"]["hosts"] == ["fixed.example"]


@pytest.mark.parametrize("change", ["registered for others", "deleted"])
def test_polls_that_wait_end_with_the_right_of_their_agent(serve: Callable[..., Served], change: str) -> None:
    served = serve()
    served.call("POST", "/api/backends", body=NOTEBOOK)
    agent = KnownAgent(served.url)
    introduce(agent)
    batched = (("Accept", "multipart/mixed"), ("X-Inverting-Proxy-Poll-ID", "poll-1"))
    with (
        agent.open_call("GET", "/agent/pending") as first,
        agent.open_call("GET", "/agent/pending", *batched) as second,
    ):
        if change == "deleted":
            served.call("DELETE", "/api/backends/notebook")
        else:
            served.call("POST", "/api/backends", body=NOTEBOOK | {"backendUser": "others"})
        with ask_at(served.url, "any.example"):
            ended = first.read_reply(), second.read_reply()
    refused = agent.call("GET", "/agent/pending")

    assert [(reply.status, reply.body) for reply in ended] == [(200, b"[]"), (204, b"")]
    assert refused.status == 403


@pytest.mark.parametrize(
    "fields",
    [
        [("X-A", "b")],
        [("Authorization", "Bearer wrong")],
        [("Cookie", "token=admins-token; Authorization=Bearer admins-token")],
        [AGENT],
    ],
)
def test_nobody_else_may_use_the_api(serve: Callable[..., Served], fields: list[Field]) -> None:
    served = serve()
    refused = served.call("POST", "/api/backends", *fields, body=NOTEBOOK)

    assert (refused.status, refused.reason) == (401, "not-authenticated")
    assert served.listed() == {}


@pytest.mark.parametrize("field", [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")])
def test_a_page_of_another_site_cannot_use_the_api(serve: Callable[..., Served], field: Field) -> None:
    served = serve()
    form = ("Content-Type", "application/x-www-form-urlencoded")
    refused = served.call("POST", "/api/backends", ADMIN, form, field, body=NOTEBOOK)

    assert (refused.status, refused.reason) == (403, "not-allowed")
    assert served.listed() == {}


def test_the_api_is_not_where_users_are(serve: Callable[..., Served]) -> None:
    served = serve()
    with ask(served.url, "GET", "/api/backends", fields=[ADMIN]) as user:
        assert user.read_reply().reason == "no-backend"


def test_a_check_names_what_is_wrong_with_the_database(serve: Callable[..., Served], tmp_path: Path) -> None:
    served = serve()
    served.process.stop()
    assert not (tmp_path / "proxy.sqlite3-wal").exists()
    (tmp_path / "proxy.sqlite3").write_bytes(b"no database" * 1000)
    argv = [interpreter("standalone"), "-m", "standalone", f"--config={tmp_path / 'proxy.toml'}"]

    for more in ([], ["--check-config"]):
        process = Process("standalone", [*argv, *more], log=tmp_path / "refused.log")
        assert process.wait(20 * SECOND) == 2
        assert f"storage.database: {tmp_path}/proxy.sqlite3 is no database, or a damaged one" in process.printed()
