"""The agent as a process, and who it is: what ends it at the start, what it waits for, what never gets into its log."""

import base64
import json
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from agent.identity.tokens import jwt_claims
from tests.agent.google_peers import (
    KEY_PEM,
    GoogleServer,
    a_service_account,
    a_user,
    an_external_account,
    google_server,
    write_gcloud_folder,
)
from tests.agent.peers import Peer, ProxyPeer, an_answer, answering, peer, proxy_peer
from tests.agent.test_program import GET, a_process, flags
from tests.agent.tunnels import Tunnel, write_certificate
from tests.timing import SECOND, wait_until

VM_ID = "X-Inverting-Proxy-VM-ID"


@pytest.fixture
def server() -> Iterator[GoogleServer]:
    with google_server() as running:
        yield running


def a_home(folder: Path, **further: str) -> dict[str, str]:
    """The environment of a machine on which there is no metadata server."""
    return {"HOME": str(folder), "NO_GCE_CHECK": "true", **further}


def a_key(folder: Path, server: GoogleServer) -> dict[str, str]:
    path = folder / "key.json"
    path.write_text(json.dumps(a_service_account(server)))
    return a_home(folder, GOOGLE_APPLICATION_CREDENTIALS=str(path))


def a_vm(folder: Path, server: GoogleServer) -> dict[str, str]:
    return {"HOME": str(folder), "GCE_METADATA_HOST": server.host}


def first_poll(proxy: ProxyPeer) -> dict[str, str]:
    wait_until(lambda: proxy.calls, within=30 * SECOND, what="the first poll")
    return dict(proxy.calls[0].fields)


def end(process: "subprocess.Popen[str]") -> str:
    """Everything that it printed, after it ended well."""
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=20 * SECOND)
    assert process.returncode == 0, errors
    return output + errors


def outcome(*arguments: str, env: Mapping[str, str]) -> tuple[int, str]:
    with a_process(*arguments, env=env) as process:
        output, errors = process.communicate(timeout=30 * SECOND)
    assert output == ""
    return process.returncode, errors


@pytest.mark.parametrize(
    ("kind", "variables", "expected"),
    [
        ("file:/nope", {}, "the token file /nope cannot be read: FileNotFoundError"),
        (
            "google",
            {"GOOGLE_APPLICATION_CREDENTIALS": "/nope"},
            "the account in /nope (GOOGLE_APPLICATION_CREDENTIALS)",
        ),
        ("google", {}, "no Google credentials on this machine: 1. no active account of gcloud"),
        ("none", {"HTTPS_PROXY": "socks5://u:SECRET@out"}, "HTTPS_PROXY is not the URL of an HTTP proxy"),
    ],
)
def test_what_will_never_work_ends_it_at_once_with_one_line(
    kind: str, variables: dict[str, str], expected: str, tmp_path: Path
) -> None:
    status, errors = outcome(*flags("http://127.0.0.1:1", credentials=kind), env=a_home(tmp_path, **variables))
    assert (status, errors.count("\n"), expected in errors, "SECRET" in errors) == (2, 1, True, False)


def test_a_login_that_is_over_ends_it_too(tmp_path: Path, server: GoogleServer) -> None:
    write_gcloud_folder(
        tmp_path / ".config" / "gcloud", a_user(), properties=f"[auth]\ntoken_host = {server.url}/token\n"
    )
    server.failure = an_answer(b'{"error": "invalid_grant"}', status=400, fields="Content-Type: application/json\r\n")
    status, errors = outcome(*flags("http://127.0.0.1:1", credentials="google"), env=a_home(tmp_path))
    line = errors.splitlines()[-1]
    assert (status, "gcloud auth login" in line, "SECRET" in errors) == (2, True, False)


def test_a_token_file_that_vanishes_later_is_waited_for(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    with proxy_peer() as proxy:
        proxy.poll_seconds = 0.05 * SECOND
        with a_process(*flags(proxy.url, credentials=f"file:{token}")) as process:
            first_poll(proxy)
            token.unlink()
            assert process.stderr is not None
            assert any("the token file" in line for line in process.stderr)
            token.write_text("second")
            wait_until(
                lambda: ["Bearer second"] in [call.get_all("Authorization") for call in proxy.calls],
                within=60 * SECOND,
                what="polls with the new token",
            )
            assert process.poll() is None


def test_a_metadata_server_that_is_not_up_yet_is_waited_for(tmp_path: Path, server: GoogleServer) -> None:
    server.failure = an_answer(status=503)
    env = a_vm(tmp_path, server)
    with proxy_peer() as proxy, a_process(*flags(proxy.url, credentials="google"), env=env) as process:
        assert process.stderr is not None
        assert any("asking again" in line for line in process.stderr)
        server.failure = b""
        fields = first_poll(proxy)
        assert process.poll() is None
    assert fields["Authorization"] in [f"Bearer {token}" for token in server.given]


@pytest.mark.parametrize(("flag", "is_shown"), [("", True), ("--disable-gce-vm-header", False)])
def test_on_a_vm_it_is_its_service_account_and_shows_the_vm(
    flag: str, is_shown: bool, tmp_path: Path, server: GoogleServer
) -> None:
    arguments = [*flags("", credentials="google")[1:], *([flag] if flag else [])]
    with proxy_peer() as proxy, a_process(f"--proxy={proxy.url}/", *arguments, env=a_vm(tmp_path, server)):
        fields = first_poll(proxy)
    assert fields["Authorization"].startswith("Bearer ya29.metadata-token-")
    assert (VM_ID in fields) is is_shown
    if is_shown:
        assert jwt_claims(fields[VM_ID])["aud"] == f"{proxy.url}/"


def test_id_tokens_go_where_the_flags_say(tmp_path: Path, server: GoogleServer) -> None:
    further, env = ["--oidc-audience=https://a.example.com", "--iap-client-id=iap-client"], a_key(tmp_path, server)
    with proxy_peer() as proxy, a_process(*flags(proxy.url, credentials="google"), *further, env=env):
        fields = first_poll(proxy)
    shown = [fields[name].removeprefix("Bearer ") for name in ("Authorization", "Proxy-Authorization")]
    assert [jwt_claims(token)["aud"] for token in shown] == ["https://a.example.com", "iap-client"]


@pytest.mark.parametrize("kind", ["user", "service account", "external account", "VM"])
def test_no_secret_gets_into_the_debug_log(kind: str, tmp_path: Path, server: GoogleServer) -> None:
    # Short lives: tokens are renewed while it runs.
    server.life = 2
    if kind == "VM":
        env = a_vm(tmp_path, server)
    else:
        stored = {
            "user": a_user(),
            "service account": a_service_account(server),
            "external account": an_external_account(server, tmp_path / "subject"),
        }[kind]
        properties = f"[auth]\ntoken_host = {server.url}/token\n"
        write_gcloud_folder(tmp_path / ".config" / "gcloud", stored, properties=properties)
        env = a_home(tmp_path)
    with proxy_peer() as proxy, peer(answering(an_answer())) as backend:
        proxy.poll_seconds = 0.1 * SECOND
        arguments = [*flags(proxy.url, backend.url, "google"), "--debug"]
        if kind == "service account":
            arguments.append("--iap-client-id=iap-client")
        with a_process(*arguments, env=env) as process:
            first_poll(proxy)
            proxy.add(GET)
            proxy.next_post()
            wait_until(lambda: len(server.given) > 3, within=60 * SECOND, what="renewed tokens")
            printed = end(process)
    secrets = [
        *server.given,
        "SECRET",
        *KEY_PEM.split("\n")[1:-2],
        *[str(asked.get("assertion")) for _, asked in server.asked],
    ]
    assert [secret for secret in secrets if secret != "None" and secret in printed] == []
    assert ("GET / 200" in printed, "DEBUG" in printed) == (True, True)


# Outbound HTTP proxies


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "certificate.pem"
    write_certificate(path, "proxy.example.test")
    return path


def tunnelled(proxy: ProxyPeer, certificate: Path, authorization: str = "") -> Tunnel:
    return Tunnel(certificate, proxy._serve, authorization)


def credentials_in(url: str, pair: str) -> str:
    return url.replace("http://", f"http://{pair}@")


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_the_proxy_is_reached_by_an_outbound_proxy_and_the_backend_is_not(
    name: str, tmp_path: Path, certificate: Path
) -> None:
    expected = f"Basic {base64.b64encode(b'user:pass-SECRET').decode()}"
    with proxy_peer() as proxy, peer(answering(an_answer(b"answered"))) as backend:
        tunnel = tunnelled(proxy, certificate, expected)
        proxy.poll_seconds = 0.1 * SECOND
        with peer(tunnel.serve) as outbound:
            url = credentials_in(outbound.url, "user:pass-SECRET")
            env = a_home(tmp_path, **{name: url, "HTTP_PROXY": url})
            arguments = [
                *flags("https://proxy.example.test/", backend.url),
                f"--proxy-ca-file={certificate}",
                "--debug",
            ]
            with a_process(*arguments, env=env) as process:
                proxy.add(GET)
                assert b"answered" in proxy.next_post().head.body
                printed = end(process)
    assert {call.start.rpartition(" ")[0] for call in tunnel.asked} == {"CONNECT proxy.example.test:443"}
    assert all(call.get_all("Proxy-Authorization") == [] for call in proxy.calls)
    assert ("SECRET" in printed, expected.partition(" ")[2] in printed) == (False, False)


def test_an_outbound_proxy_that_refuses_is_named(tmp_path: Path, certificate: Path) -> None:
    with proxy_peer() as proxy:
        tunnel = tunnelled(proxy, certificate, "Basic no")
        with peer(tunnel.serve) as outbound:
            env = a_home(tmp_path, HTTPS_PROXY=credentials_in(outbound.url, "u:SECRET"))
            with a_process(*flags("https://proxy.example.test"), env=env) as process:
                assert process.stderr is not None
                line = next(line for line in process.stderr if "cannot ask the proxy" in line)
    assert ("407" in line, "SECRET" in line) == (True, False)


def test_a_certificate_that_is_not_trusted_is_an_error(tmp_path: Path, certificate: Path) -> None:
    with proxy_peer() as proxy, peer(tunnelled(proxy, certificate).serve) as outbound:
        env = a_home(tmp_path, HTTPS_PROXY=outbound.url)
        with a_process(*flags("https://proxy.example.test"), env=env) as process:
            assert process.stderr is not None
            line = next(line for line in process.stderr if "cannot ask the proxy" in line)
        assert ("certificate" in line, proxy.calls) == (True, [])


def test_this_machine_is_reached_directly(tmp_path: Path) -> None:
    with proxy_peer() as proxy, peer(answering()) as outbound:
        env = a_home(tmp_path, HTTP_PROXY=outbound.url)
        with a_process(*flags(proxy.url), env=env):
            first_poll(proxy)
        assert outbound.accepted == 0


def test_tokens_are_fetched_by_the_outbound_proxy_too(tmp_path: Path) -> None:
    """Google's own endpoint, as the outbound proxy has it."""
    certificate = tmp_path / "google.pem"
    write_certificate(certificate, "oauth2.googleapis.com")
    server = GoogleServer()
    tunnel = Tunnel(certificate, server.serve)
    write_gcloud_folder(tmp_path / ".config" / "gcloud", a_user())
    with proxy_peer() as proxy:
        outbound = Peer(tunnel.serve)
        env = a_home(tmp_path, HTTPS_PROXY=outbound.url, REQUESTS_CA_BUNDLE=str(certificate))
        with a_process(*flags(proxy.url, credentials="google"), env=env):
            fields = first_poll(proxy)
        outbound.close()
    assert fields["Authorization"] == f"Bearer {server.given[0]}"
    assert tunnel.asked[0].start.startswith("CONNECT oauth2.googleapis.com:443 ")
