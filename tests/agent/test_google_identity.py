"""Google's accounts: from gcloud's folder, from files, from a metadata server; each token from a real HTTP server."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.identity.accounts import SCOPES, Account
from agent.identity.errors import CredentialsError, UnusableCredentials
from agent.identity.google_calls import GoogleCalls
from agent.identity.machine import GoogleMachine
from agent.identity.opening import open_credentials
from agent.identity.search import find_account
from agent.identity.tokens import jwt_claims
from agent.identity.vm import VmIdentity
from tests.agent.google_peers import (
    FLAVOR,
    GoogleServer,
    a_service_account,
    a_user,
    an_external_account,
    an_id_token,
    google_server,
    write_gcloud_folder,
)
from tests.agent.peers import Received, an_answer, answering, peer
from tests.timing import SECOND, wait_until

AUDIENCE = "https://agent-dot-proxy.example.com"
NOWHERE = "127.0.0.1:1"


@pytest.fixture
def server() -> Iterator[GoogleServer]:
    with google_server() as running:
        yield running


def a_machine(folder: Path, **settings: Any) -> GoogleMachine:
    """A machine without any account, but for what is said."""
    given = {
        "gcloud_folder": folder / "gcloud",
        "gcloud_properties": {},
        "metadata_host": NOWHERE,
        "product_name": folder / "product_name",
    }
    return GoogleMachine(**{**given, **settings})


def direct() -> GoogleCalls:
    return GoogleCalls(lambda url: None, wall_clock=time.time)


def found(machine: GoogleMachine) -> Account:
    return find_account(machine, calls=direct, wall_clock=time.time)


def token_host(server: GoogleServer) -> str:
    return f"[auth]\ntoken_host = {server.url}/token\n"


def a_user_machine(folder: Path, server: GoogleServer, properties: str = "", **settings: Any) -> GoogleMachine:
    write_gcloud_folder(folder / "gcloud", a_user(), properties=token_host(server) + properties)
    return a_machine(folder, **settings)


def a_file_machine(folder: Path, stored: dict[str, Any]) -> GoogleMachine:
    path = folder / "key.json"
    path.write_text(json.dumps(stored))
    return a_machine(folder, credentials_file=path)


# In which order


def test_the_order_is_gcloud_then_the_named_file_then_the_well_known_one_then_the_metadata_server(
    tmp_path: Path, server: GoogleServer
) -> None:
    machine = a_user_machine(tmp_path, server, metadata_host=server.host, credentials_file=tmp_path / "named.json")
    named = tmp_path / "named.json"
    for path in (named, machine.well_known_file):
        path.write_text(json.dumps(a_service_account(server)))
    places = []
    places.append(found(machine).description)
    (machine.gcloud_folder / "credentials.db").unlink()
    places.append(found(machine).description)
    machine = a_machine(tmp_path, metadata_host=server.host)
    places.append(found(machine).description)
    machine.well_known_file.unlink()
    places.append(found(machine).description)
    assert places == [
        "gcloud's active account user@example.com",
        f"the account in {named} (GOOGLE_APPLICATION_CREDENTIALS), agent@example.com",
        f"the account in {machine.well_known_file}, agent@example.com",
        f"the service account of this machine, from its metadata server {server.host}",
    ]


def test_without_any_the_operator_reads_what_was_looked_for_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnusableCredentials) as caught:
        found(a_machine(tmp_path))
    text = str(caught.value)
    looked_for = [
        f"1. no active account of gcloud ({tmp_path / 'gcloud'})",
        "2. GOOGLE_APPLICATION_CREDENTIALS is not set",
        f"3. no file {tmp_path / 'gcloud' / 'application_default_credentials.json'}",
        f"4. no metadata server at {NOWHERE}",
    ]
    assert [part for part in [*looked_for, "gcloud auth login", "--credentials="] if part not in text] == []
    assert "\n" not in text


def test_an_account_of_gcloud_that_it_stores_nothing_for_is_named(tmp_path: Path) -> None:
    write_gcloud_folder(tmp_path / "gcloud", None, account="vm@example.com")
    with pytest.raises(UnusableCredentials, match="gcloud stores nothing for its account vm@example.com"):
        found(a_machine(tmp_path))


@pytest.mark.parametrize("product", ["Google Compute Engine\n", "Google\n"])
def test_on_a_machine_of_google_a_metadata_server_that_is_not_up_yet_is_waited_for(
    product: str, tmp_path: Path
) -> None:
    (tmp_path / "product_name").write_text(product)
    account = found(a_machine(tmp_path))
    with pytest.raises(CredentialsError) as caught:
        account.access_token(SCOPES)
    assert not isinstance(caught.value, UnusableCredentials)


def test_a_metadata_server_that_somebody_named_is_waited_for(tmp_path: Path) -> None:
    with google_server() as server:
        host = server.host
    credentials = open_credentials(
        "google",
        proxy_url=AUDIENCE,
        machine=a_machine(tmp_path, metadata_host=host, has_metadata_server=True),
        shows_vm=False,
    )
    with pytest.raises(CredentialsError, match=f"metadata server {host} does not answer"):
        credentials.fields()


def test_what_is_no_metadata_server_is_not_taken_for_one(tmp_path: Path) -> None:
    with peer(answering(an_answer(b"a router"))) as router, pytest.raises(UnusableCredentials, match="no metadata"):
        found(a_machine(tmp_path, metadata_host=router.url.removeprefix("http://")))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not json", "JSONDecodeError"),
        ("[]", "not a JSON object"),
        ("{}", "a type that is not known here: None"),
        ('{"type": "service_account", "client_email": "x", "private_key": "SECRET"}', "no usable key"),
        ('{"type": "authorized_user"}', "not whole"),
        ('{"type": "impersonated_service_account"}', "not whole"),
    ],
)
def test_a_broken_file_is_named_and_never_skipped_for_the_next_place(
    content: str, said: str, tmp_path: Path, server: GoogleServer
) -> None:
    path = tmp_path / "key.json"
    path.write_text(content)
    with pytest.raises(UnusableCredentials) as caught:
        found(a_machine(tmp_path, credentials_file=path, metadata_host=server.host))
    text = str(caught.value)
    assert (str(path) in text, said in text, "SECRET" in text) == (True, True, False)


def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnusableCredentials, match="FileNotFoundError"):
        found(a_machine(tmp_path, credentials_file=tmp_path / "nope"))


# Access tokens


def test_a_user_of_gcloud_gets_a_token_where_gcloud_says(tmp_path: Path, server: GoogleServer) -> None:
    token = found(a_user_machine(tmp_path, server)).access_token(SCOPES)
    [(path, asked)] = server.asked
    assert (token.text, path, asked["refresh_token"]) == (server.given[0], "/token", "refresh-SECRET")
    assert 3000 < token.life <= 3600


def test_a_service_account_of_gcloud_asks_for_both_scopes_at_its_token_uri(
    tmp_path: Path, server: GoogleServer
) -> None:
    write_gcloud_folder(tmp_path / "gcloud", a_service_account(server))
    token = found(a_machine(tmp_path)).access_token(SCOPES)
    [(path, asked)] = server.asked
    claims = jwt_claims(asked["assertion"])
    assert (token.text, path, claims["iss"]) == (server.given[0], "/token", "agent@example.com")
    assert str(claims["scope"]).split() == list(SCOPES)


@pytest.mark.parametrize("place", ["gcloud", "file"])
def test_an_external_account_exchanges_its_providers_token(place: str, tmp_path: Path, server: GoogleServer) -> None:
    stored = an_external_account(server, tmp_path / "subject")
    if place == "gcloud":
        write_gcloud_folder(tmp_path / "gcloud", stored)
    machine = a_machine(tmp_path) if place == "gcloud" else a_file_machine(tmp_path, stored)
    token = found(machine).access_token(SCOPES)
    [(path, asked)] = server.asked
    assert (token.text, path, asked["subject_token"]) == (server.given[0], "/sts", "subject-SECRET")


def test_an_external_account_may_become_a_service_account(tmp_path: Path, server: GoogleServer) -> None:
    url = f"{server.url}/v1/projects/-/serviceAccounts/robot@example.com:generateAccessToken"
    stored = an_external_account(server, tmp_path / "subject") | {"service_account_impersonation_url": url}
    account = found(a_file_machine(tmp_path, stored))
    tokens = [account.access_token(SCOPES).text, account.id_token(AUDIENCE).text]
    assert (tokens[0] in server.given, jwt_claims(tokens[1])["aud"]) == (True, AUDIENCE)
    assert [path.rpartition(":")[2] for path, _ in server.asked] == [
        "/sts", "generateAccessToken", "/sts", "generateIdToken",
    ]  # fmt: skip


def test_gclouds_property_to_impersonate_counts(tmp_path: Path, server: GoogleServer) -> None:
    properties = (
        "impersonate_service_account = first@example.com,robot@example.com\n"
        f"[api_endpoint_overrides]\niamcredentials = {server.url}/\n"
    )
    account = found(a_user_machine(tmp_path, server, properties))
    token = account.access_token(SCOPES)
    (_, _), (path, asked) = server.asked
    assert account.description == "robot@example.com, impersonated by gcloud's active account user@example.com"
    assert path == "/v1/projects/-/serviceAccounts/robot@example.com:generateAccessToken"
    assert asked["delegates"] == ["projects/-/serviceAccounts/first@example.com"]
    assert (asked["authorization"], asked["scope"]) == ([f"Bearer {server.given[0]}"], list(SCOPES))
    assert (token.text, 3000 < token.life <= 3600) == (server.given[-1], True)


def test_a_file_of_an_impersonated_account_counts(tmp_path: Path, server: GoogleServer) -> None:
    url = f"{server.url}/v1/projects/-/serviceAccounts/robot@example.com:generateAccessToken"
    stored = {
        "type": "impersonated_service_account",
        "service_account_impersonation_url": url,
        "source_credentials": a_service_account(server),
        "delegates": [],
    }
    token = found(a_file_machine(tmp_path, stored)).access_token(SCOPES)
    assert [token.text] == server.given[-1:]
    assert server.asked[-1][0].endswith("robot@example.com:generateAccessToken")


def test_an_account_that_may_not_impersonate_is_told_the_role(tmp_path: Path, server: GoogleServer) -> None:
    with peer(answering(an_answer(status=403))) as iam:
        properties = (
            f"impersonate_service_account = robot@example.com\n[api_endpoint_overrides]\niamcredentials = {iam.url}/\n"
        )
        with pytest.raises(UnusableCredentials, match=r"robot@example\.com.*roles/iam\.serviceAccountTokenCreator"):
            found(a_user_machine(tmp_path, server, properties)).access_token(SCOPES)


def test_the_metadata_server_is_asked_with_scopes(tmp_path: Path, server: GoogleServer) -> None:
    token = found(a_machine(tmp_path, metadata_host=server.host, has_metadata_server=True)).access_token(SCOPES)
    [(path, asked)] = server.asked
    assert (token.text, path.rpartition("/")[2], asked["scopes"]) == (server.given[0], "token", ",".join(SCOPES))


# ID tokens


def id_token_sources(server: GoogleServer, folder: Path) -> dict[str, Callable[[], GoogleMachine]]:
    impersonating = (
        f"impersonate_service_account = r@example.com\n[api_endpoint_overrides]\niamcredentials = {server.url}\n"
    )
    return {
        "service account": lambda: a_file_machine(folder, a_service_account(server)),
        "impersonated": lambda: a_user_machine(folder, server, impersonating),
        "metadata server": lambda: a_machine(folder, metadata_host=server.host, has_metadata_server=True),
    }


@pytest.mark.parametrize("name", ["service account", "impersonated", "metadata server"])
def test_an_id_token_is_for_the_audience(name: str, tmp_path: Path, server: GoogleServer) -> None:
    token = found(id_token_sources(server, tmp_path)[name]()).id_token(AUDIENCE)
    claims = jwt_claims(token.text)
    assert (claims["aud"], claims["email"], 3000 < token.life <= 3600) == (AUDIENCE, "agent@example.com", True)


def test_a_users_id_token_is_for_gcloud_alone(tmp_path: Path, server: GoogleServer) -> None:
    account = found(a_user_machine(tmp_path, server))
    assert jwt_claims(account.id_token("gcloud-client").text)["aud"] == "gcloud-client"
    with pytest.raises(UnusableCredentials, match=f"'gcloud-client' alone and not for '{AUDIENCE}'.*impersonate"):
        account.id_token(AUDIENCE)


def test_an_external_account_that_is_no_service_account_has_no_id_token(tmp_path: Path, server: GoogleServer) -> None:
    account = found(a_file_machine(tmp_path, an_external_account(server, tmp_path / "subject")))
    with pytest.raises(UnusableCredentials, match="cannot get an ID token"):
        account.id_token(AUDIENCE)


def shown(machine: GoogleMachine, kind: str = "google", **settings: str) -> dict[str, str]:
    credentials = open_credentials(kind, proxy_url=AUDIENCE, machine=machine, shows_vm=False, **settings)  # type: ignore[arg-type]
    fields = list(credentials.fields())
    assert len(dict(fields)) == len(fields)
    return dict(fields)


def audience_of(field: str) -> object:
    return jwt_claims(field.removeprefix("Bearer "))["aud"]


def test_an_oidc_audience_puts_an_id_token_in_place_of_the_access_token(tmp_path: Path, server: GoogleServer) -> None:
    fields = shown(a_file_machine(tmp_path, a_service_account(server)), oidc_audience=AUDIENCE)
    assert (list(fields), audience_of(fields["Authorization"])) == (["Authorization"], AUDIENCE)


def test_behind_iap_authorization_stays_free(tmp_path: Path, server: GoogleServer) -> None:
    machine = a_file_machine(tmp_path, a_service_account(server))
    fields = shown(machine, iap_client_id="iap-client")
    assert fields["Authorization"] == "Bearer ya29.service-token-0"
    assert audience_of(fields["Proxy-Authorization"]) == "iap-client"
    both = shown(machine, iap_client_id="iap-client", oidc_audience=AUDIENCE)
    assert [audience_of(both[name]) for name in ("Authorization", "Proxy-Authorization")] == [AUDIENCE, "iap-client"]
    alone = shown(machine, "none", iap_client_id="iap-client")
    assert (list(alone), audience_of(alone["Proxy-Authorization"])) == (["Proxy-Authorization"], "iap-client")


@pytest.mark.parametrize("kind", ["none", "file:/tmp"])
def test_an_oidc_audience_without_google_is_a_contradiction(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UnusableCredentials, match="--oidc-audience"):
        shown(a_machine(tmp_path), kind, oidc_audience=AUDIENCE)


# What fails


def test_a_login_that_is_over_says_what_to_do(tmp_path: Path, server: GoogleServer) -> None:
    body = b'{"error": "invalid_grant", "error_description": "Token has been expired or revoked.", "x": "SECRET"}'
    server.failure = an_answer(body, status=400, fields="Content-Type: application/json\r\n")
    with pytest.raises(UnusableCredentials) as caught:
        shown(a_user_machine(tmp_path, server))
    text = str(caught.value)
    expected = ["gcloud's active account user@example.com", "invalid_grant", "gcloud auth login"]
    assert ([part for part in expected if part not in text], "SECRET" in text) == ([], False)


@pytest.mark.parametrize("status", [500, 503])
def test_a_token_server_that_fails_is_asked_again_later(status: int, tmp_path: Path, server: GoogleServer) -> None:
    server.failure = an_answer(b"{}", status=status, fields="Content-Type: application/json\r\n")
    machine = a_machine(tmp_path, metadata_host=server.host, has_metadata_server=True)
    credentials = open_credentials("google", proxy_url=AUDIENCE, machine=machine, shows_vm=False)
    server.failure = b""
    wait_until(lambda: has_fields(credentials), within=20 * SECOND, what="a token")


def has_fields(credentials: Any) -> bool:
    try:
        return bool(credentials.fields())
    except CredentialsError:
        return False


def test_a_machine_without_a_service_account_is_told_so(tmp_path: Path, server: GoogleServer) -> None:
    server.failure = an_answer(status=404, fields=FLAVOR)
    with pytest.raises(UnusableCredentials, match="has no service account"):
        shown(a_machine(tmp_path, metadata_host=server.host, has_metadata_server=True))


def test_a_redirect_of_the_token_server_is_not_followed(tmp_path: Path, server: GoogleServer) -> None:
    with peer(answering(an_answer())) as other:
        server.failure = an_answer(status=307, fields=f"Location: {other.url}/\r\n")
        with pytest.raises(CredentialsError):
            found(a_user_machine(tmp_path, server)).access_token(SCOPES)
        assert other.accepted == 0


@pytest.mark.parametrize(
    ("answer", "said"),
    [(b"{}", "did not answer with one"), (b"nonsense", "did not answer"), (b'{"access_token": "a b"}', "did not")],
)
def test_a_metadata_server_that_gives_no_token_is_an_error(
    answer: bytes, said: str, tmp_path: Path, server: GoogleServer
) -> None:
    server.failure = an_answer(answer, fields=FLAVOR)
    account = found(a_machine(tmp_path, metadata_host=server.host, has_metadata_server=True))
    with pytest.raises(CredentialsError, match=said):
        account.access_token(SCOPES)


# Which VM calls


def identity_of(url: str, now: list[float]) -> VmIdentity:
    return VmIdentity(url.removeprefix("http://"), audience=f"{AUDIENCE}/x", now=lambda: now[0], wall_clock=time.time)


def test_the_vm_shows_its_identity_token_for_this_proxy(server: GoogleServer) -> None:
    fields = identity_of(server.url, [0.0]).fields()
    [(path, asked)] = server.asked
    assert (list(fields), asked) == (
        [("X-Inverting-Proxy-VM-ID", server.given[0])],
        {"audience": f"{AUDIENCE}/x", "format": "full"},
    )
    assert path.endswith("/service-accounts/default/identity")


def test_its_token_is_renewed_before_it_ends_while_the_old_one_serves(server: GoogleServer) -> None:
    now = [0.0]
    identity = identity_of(server.url, now)
    shown_at = []
    for now[0] in (0.0, 3290.0, 3310.0):
        shown_at.append(identity.fields()[0][1])
    assert (len(set(shown_at)), len(server.given[:1])) == (1, 1)
    wait_until(lambda: len(server.given) == 2, within=10 * SECOND, what="another token")
    now[0] = 3500.0
    wait_until(lambda: identity.fields()[0][1] == server.given[1], within=10 * SECOND, what="the new one shown")


def test_a_token_is_kept_until_it_ends_when_there_is_no_newer_one(server: GoogleServer) -> None:
    now = [0.0]
    identity = identity_of(server.url, now)
    found_at = []
    for now[0] in (0.0, 3400.0, 3601.0):
        found_at.append(len(identity.fields()))
        server.failure = an_answer(status=500)
    assert found_at == [1, 1, 0]


@pytest.mark.parametrize(
    "raw",
    [
        an_answer(an_id_token("x").encode()),
        an_answer(b"not a token", fields=FLAVOR),
        an_answer(b"a.b.c", fields=FLAVOR),
        an_answer(b"e30.e30.c2ln", fields=FLAVOR),
        an_answer(b"x" * 20_000, fields=FLAVOR),
        an_answer(status=404, fields=FLAVOR),
        b"garbage\r\n\r\n",
    ],
)
def test_where_there_is_no_metadata_server_there_is_no_field_and_it_is_left_alone(raw: bytes) -> None:
    seen: list[Received] = []
    with peer(answering(raw, raw, record=seen)) as metadata:
        identity = identity_of(metadata.url, [0.0])
        assert (identity.fields(), identity.fields(), len(seen)) == ((), (), 1)
