"""Nobody can forge who a request is from, nor take it away (row 19 of the table of promises).

And agents that show who they are by ID tokens, as behind Identity-Aware Proxy.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.agent.google_peers import PUBLIC_PEM, GoogleServer, a_service_account, an_id_token, google_server
from tests.agent.peers import Wire, an_answer
from tests.agent.peers import peer as serving
from tests.agent.tunnels import Tunnel, write_certificate
from tests.system.backends import Peer
from tests.system.conftest import Serve
from tests.system.processes import Process, interpreter
from tests.system.rawhttp import Connection, Disconnected, Fields, Reply, call, chunked, get
from tests.system.shapes import ADMIN, AGENT, AppEngine, Site
from tests.timing import SECOND, wait_until
from wire.headers import normalise

FORGED: Final = "mallory@example.com"

NAMES: Final = [
    "X-Inverting-Proxy-User-ID",
    "x-inverting-proxy-user-id",
    "X-INVERTING-PROXY-USER-ID",
    "X_Inverting_Proxy_User_ID",
    "x-inverting_proxy-USER-id",
    "X-Inverting-Proxy-Request-ID",
    "X-Inverting-Proxy-Backend-ID",
    "X-Inverting-Proxy-Agent-ID",
    "X-Inverting-Proxy-VM-ID",
    "X-Inverting-Proxy-Error",
    "X-Inverting-Proxy-Anything",
    "X-Appengine-User-Email",
    "x-appengine-user-email",
    "X_AppEngine_User_Email",
    "X-Appengine-User-Is-Admin",
    "X-Appengine-Cron",
    "X-Appengine-Inbound-Appid",
    "X-Goog-Authenticated-User-Email",
    "x_goog_authenticated_user_email",
    "X-Goog-IAP-JWT-Assertion",
    "X-Google-Internal",
    "X-Cloud-Trace-Context",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-User",
    "X_Forwarded_For",
    "Forwarded",
]

REFUSED: Final = {
    "leading space": f" X-Inverting-Proxy-User-ID: {FORGED}",
    "leading tab": f"\tX-Inverting-Proxy-User-ID: {FORGED}",
    "space before the colon": f"X-Inverting-Proxy-User-ID : {FORGED}",
    "tab before the colon": f"X-Inverting-Proxy-User-ID\t: {FORGED}",
    "folded value": f"X-Inverting-Proxy-User-ID:\r\n {FORGED}",
    "folded behind another": f"X-Other: 1\r\n X-Inverting-Proxy-User-ID: {FORGED}",
    "bare CR": f"X-Other: 1\rX-Inverting-Proxy-User-ID: {FORGED}",
    "NUL in the name": f"X-Inverting-Proxy-User-ID\0: {FORGED}",
    "NUL in the value": f"X-Inverting-Proxy-User-ID: \0{FORGED}",
    "empty name": f": X\r\nX-Inverting-Proxy-User-ID: {FORGED}",
}


@pytest.fixture(scope="module", params=["", "--forward-user-id"], ids=["not forwarded", "forwarded"])
def flag(request: pytest.FixtureRequest) -> str:
    text: str = request.param
    return text


@pytest.fixture(scope="module")
def site(flag: str, serve: Serve, peer: Peer) -> Site:
    return serve(peer.url, *[flag] if flag else [])


def expected_identity(site: Site, flag: str) -> list[str]:
    """What the backend may learn about the user: once, and only when it is told; nothing of nobody."""
    return [site.shape.user] if flag and site.shape.user else []


def require_true_identity(reply: Reply, site: Site, flag: str) -> None:
    assert reply.status == 200, reply
    arrived: dict[str, Any] = json.loads(reply.body)
    owned = [(normalise(name), value) for name, value in arrived["fields"] if normalise(name).startswith("x-inverting")]
    assert [value for name, value in owned if name == "x-inverting-proxy-user-id"] == expected_identity(site, flag)
    assert {name for name, _ in owned} <= {"x-inverting-proxy-user-id"}
    assert FORGED not in reply.body.decode()


def ask(site: Site, fields: Fields) -> Reply:
    return call(site.url, "GET", "/who", fields=fields)


@pytest.mark.parametrize("name", NAMES)
def test_a_forged_field_does_not_arrive(name: str, site: Site, flag: str) -> None:
    require_true_identity(ask(site, [(name, FORGED)]), site, flag)


@pytest.mark.parametrize("name", NAMES[:4])
def test_a_forged_field_does_not_arrive_when_it_is_doubled(name: str, site: Site, flag: str) -> None:
    require_true_identity(ask(site, [(name, FORGED), (name, ""), (name.lower(), FORGED)]), site, flag)


@pytest.mark.parametrize("name", NAMES[:4])
def test_an_identity_is_not_taken_away_by_an_empty_one(name: str, site: Site, flag: str) -> None:
    require_true_identity(ask(site, [(name, "")]), site, flag)


@pytest.mark.parametrize("option", [NAMES[0], NAMES[1], NAMES[3], "X-Forwarded-For"])
def test_an_identity_is_not_taken_away_by_a_connection_field_that_names_it(option: str, site: Site, flag: str) -> None:
    reply = ask(site, [("Connection", f"keep-alive, {option}"), (option, FORGED)])

    require_true_identity(reply, site, flag)


def test_the_address_that_the_proxy_saw_arrives(site: Site, flag: str) -> None:
    arrived = json.loads(ask(site, [("X-Forwarded-For", FORGED), ("Connection", "X-Forwarded-For")]).body)["fields"]

    assert [value for name, value in arrived if normalise(name) == "x-forwarded-for"] == ["127.0.0.1"]


def test_a_forged_field_does_not_arrive_as_a_trailer(site: Site, flag: str) -> None:
    body = chunked(b"hello", trailers=f"X-Inverting-Proxy-User-ID: {FORGED}\r\n")
    fields = [("Transfer-Encoding", "chunked"), ("Trailer", "X-Inverting-Proxy-User-ID")]

    require_true_identity(call(site.url, "POST", "/who", fields=fields, body=body), site, flag)


def test_a_forged_field_does_not_arrive_by_http_1_0(site: Site, flag: str) -> None:
    with Connection(site.url) as connection:
        head = f"GET /who HTTP/1.0\r\nHost: {connection.host}\r\nX-Inverting-Proxy-User-ID: {FORGED}\r\n\r\n"
        connection.send(head.encode())

        require_true_identity(connection.read_reply(), site, flag)


@pytest.mark.parametrize("lines", REFUSED.values(), ids=REFUSED)
def test_a_forged_field_that_is_not_http_is_refused_or_harmless(lines: str, site: Site, flag: str) -> None:
    with Connection(site.url) as connection:
        connection.send(f"GET /who HTTP/1.1\r\nHost: {connection.host}\r\n{lines}\r\n\r\n".encode("latin-1"))
        try:
            reply = connection.read_reply()
        except Disconnected:
            return

    if reply.status != 400:
        require_true_identity(reply, site, flag)


@pytest.mark.parametrize("name", ["X-Inverting-Proxy-User-ID", "x_inverting_proxy_error", "X-Appengine-Blobkey"])
def test_a_backend_cannot_speak_for_the_proxy(name: str, site: Site) -> None:
    raw = f"HTTP/1.1 200 OK\r\n{name}: {FORGED}\r\nContent-Length: 2\r\n\r\nok"

    reply = call(site.url, "GET", f"/raw?hex={raw.encode().hex()}")

    assert (reply.status, reply.get(name), reply.reason) == (200, None, None)


# By ID tokens

AUDIENCE: Final = "https://agent-dot-proxy.example.com"


class OidcAppEngine(AppEngine):
    """The three services, for which only ID tokens count; Google's keys come through an outbound proxy of the tests."""

    token = ""

    def __init__(self, folder: Path, *, outbound: str, certificate: Path) -> None:
        super().__init__(
            folder,
            IDENTITY="oidc",
            OIDC_AUDIENCE=AUDIENCE,
            HTTPS_PROXY=outbound,
            NO_PROXY="127.0.0.1,localhost",
            REQUESTS_CA_BUNDLE=str(certificate),
        )

    def register(self, backend_id: str) -> None:
        backend = {"id": backend_id, "backendUser": AGENT, "endUser": "allUsers", "pathPrefixes": ["/"]}
        fields = [("Authorization", f"Bearer {an_id_token(AUDIENCE, email=ADMIN)}")]
        reply = call(self.api_url, "POST", "/api/backends", fields=fields, body=json.dumps(backend).encode())
        assert reply.status == 200, reply


def google_keys(wire: Wire) -> None:
    while True:
        assert wire.read_message().target == "/oauth2/v1/certs"
        wire.send(an_answer(json.dumps({"key-1": PUBLIC_PEM}).encode(), fields="Content-Type: application/json\r\n"))


@pytest.fixture(scope="module")
def oidc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcAppEngine]:
    folder = tmp_path_factory.mktemp("oidc")
    certificate = folder / "google.pem"
    write_certificate(certificate, "www.googleapis.com")
    with serving(Tunnel(certificate, google_keys).serve) as outbound:
        shape = OidcAppEngine(folder, outbound=outbound.url, certificate=certificate)
        shape.register("notebook")
        yield shape
        shape.stop()


@pytest.fixture(scope="module")
def google() -> Iterator[GoogleServer]:
    with google_server() as server:
        yield server


def start_agent(
    oidc: OidcAppEngine, google: GoogleServer, backend: Peer, folder: Path, *, audience: str, email: str = AGENT
) -> Process:
    key = folder / "key.json"
    key.write_text(json.dumps(a_service_account(google, email=email)))
    argv = [
        *(interpreter("agent"), "-m", "agent"),
        *(f"--proxy={oidc.agent_url}", "--backend=notebook", f"--host={backend.url}", f"--oidc-audience={audience}"),
    ]
    env = {"GOOGLE_APPLICATION_CREDENTIALS": str(key), "NO_GCE_CHECK": "true", "HOME": str(folder)}
    return Process("agent", argv, log=folder / "agent.log", env=env)


def test_an_agent_is_known_by_its_id_token(
    oidc: OidcAppEngine, google: GoogleServer, peer: Peer, tmp_path: Path
) -> None:
    agent = start_agent(oidc, google, peer, tmp_path, audience=AUDIENCE)
    try:
        reply = wait_until(
            lambda: (found := get(oidc.url, "/who")).status == 200 and found, within=30 * SECOND, what="an answer"
        )
    finally:
        agent.stop()
    assert reply.reason is None
    assert "401" not in agent.printed()


@pytest.mark.parametrize(
    ("audience", "email", "expected"),
    [
        (
            "https://elsewhere.example.com",
            AGENT,
            ["status 401 (not-authenticated)", "--oidc-audience", "OIDC_AUDIENCE"],
        ),
        (AUDIENCE, FORGED, ["status 403 (not-allowed)", "backendUser", "--backend"]),
    ],
    ids=["wrong audience", "wrong account"],
)
def test_an_agent_that_is_refused_reads_why_and_what_to_do(
    audience: str,
    email: str,
    expected: list[str],
    oidc: OidcAppEngine,
    google: GoogleServer,
    peer: Peer,
    tmp_path: Path,
) -> None:
    agent = start_agent(oidc, google, peer, tmp_path, audience=audience, email=email)
    try:
        wait_until(lambda: "cannot ask the proxy" in agent.printed(), within=30 * SECOND, what="its complaint")
        agent.require_running()
        line = next(line for line in agent.printed().splitlines() if "cannot ask the proxy" in line)
    finally:
        agent.stop()
    assert [part for part in expected if part not in line] == []
