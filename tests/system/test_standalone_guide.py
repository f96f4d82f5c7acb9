"""What docs/standalone.md installs, in an empty folder: with its settings it serves a page through an agent."""

import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.agent.certificates import Authority
from tests.image import ROOT, Dockerfile, Ignored
from tests.system.processes import Process, free_port, interpreter
from tests.system.rawhttp import Connection, get, request_bytes
from tests.system.websocket_backend import a_backend
from tests.timing import SECOND, wait_until

DOCUMENT: Final = (ROOT / "docs" / "standalone.md").read_text("utf-8")

IMPORT_ALL: Final = """
import importlib, pkgutil, standalone
for module in pkgutil.walk_packages(standalone.__path__, "standalone."):
    if not module.name.endswith("__main__") and module.name != "standalone.settings.rows":
        importlib.import_module(module.name)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the guide puts settings, and programs their output."""
    return tmp_path_factory.mktemp("guide")


@pytest.fixture(scope="module")
def app(folder: Path) -> Path:
    """The folder into which guide and image put the packages."""
    app = folder / "opt"
    sources = Dockerfile.read("standalone").copied()
    for path in Ignored.read("standalone").let_in():
        if path.parts[0] in sources:
            (app / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, app / path)
    return app


def run(app: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [interpreter("standalone"), *arguments],
        cwd=app,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60 * SECOND,
    )


@pytest.fixture(scope="module")
def settings(app: Path, folder: Path) -> Path:
    """The guide's file, at ports of this machine, and what it names."""
    found = re.search(r"^```toml\n(.+?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found
    text = found[1].replace("/etc/inverting-proxy", str(folder)).replace("/var/lib/inverting-proxy-acme", str(folder))
    https, http = free_port(), free_port()
    text = text.replace('["0.0.0.0:443", "[::]:443"]', f'["127.0.0.1:{https}"]')
    text = text.replace('["0.0.0.0:80", "[::]:80"]', f'["127.0.0.1:{http}"]')
    (folder / "proxy.toml").write_text(text)
    pair = Authority(folder).issue("127.0.0.1", is_split=True)
    shutil.copy(pair, folder / "certificate.pem")
    shutil.copy(pair.with_suffix(".key"), folder / "key.pem")
    (folder / "key.pem").chmod(0o640)
    added = run(app, "-m", "standalone.tokens", "add", "notebook-agent", "--file", str(folder / "agents.tokens"))
    assert added.returncode == 0, added.stderr
    (folder / "token").write_text(added.stdout)
    return folder / "proxy.toml"


@pytest.fixture(scope="module")
def proxy(app: Path, settings: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """The addresses with and without TLS."""
    environ = {"PYTHONPATH": str(app), "PYTHONSAFEPATH": "1"}
    argv = [interpreter("standalone"), "-m", "standalone", "--config", str(settings)]
    process = Process("standalone", argv, log=folder / "standalone.log", env=environ)
    process.wait_for_url()
    https, http = re.findall(r"Listening on (\S+)", process.printed())
    yield https, http
    status, printed = process.stop(), process.printed()
    assert (status, "Traceback" in printed) == (0, False), printed


def test_every_module_imports_with_what_is_required_and_nothing_else(app: Path) -> None:
    done = run(app, "-c", IMPORT_ALL)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_settings_are_found_good(app: Path, settings: Path) -> None:
    done = run(app, "-m", "standalone", "--config", str(settings), "--check-config")
    assert (done.returncode, done.stderr) == (0, "")
    assert "users, agents, with TLS" in done.stdout


def test_a_page_is_served_over_tls_by_the_agent_with_the_token_and_by_no_other(
    proxy: tuple[str, str], folder: Path
) -> None:
    url, _ = proxy
    trust = ssl.create_default_context(cafile=folder / "authority.pem")
    page = Process("demo", [interpreter("dev"), "-m", "demo", "--port=0"], log=folder / "demo.log")
    backend = page.wait_for_url()

    def agent(name: str, credentials: str) -> Process:
        flags = [f"--proxy={url}", f"--proxy-ca-file={folder}/authority.pem", "--backend=notebook", f"--host={backend}"]
        argv = [interpreter("agent"), "-m", "agent", *flags, f"--credentials={credentials}"]
        return Process("agent", argv, log=folder / f"{name}.log")

    def status() -> int:
        with Connection(url, tls=trust) as user:
            user.send(request_bytes("GET", "/", host=user.host))
            return user.read_reply().status

    stranger = agent("stranger", "none")
    wait_until(lambda: "401" in stranger.printed(), within=20 * SECOND, what="a refusal")
    assert status() == 503
    stranger.stop()
    own = agent("own", f"file:{folder}/token")
    wait_until(lambda: status() == 200, within=20 * SECOND, what="a page")
    own.stop()
    page.stop()


def test_a_websocket_goes_over_tls_both_ways(proxy: tuple[str, str], folder: Path) -> None:
    url, _ = proxy
    trust = ssl.create_default_context(cafile=folder / "authority.pem")
    with a_backend() as backend:
        flags = [f"--proxy={url}", f"--proxy-ca-file={folder}/authority.pem", "--backend=notebook"]
        argv = [interpreter("agent"), "-m", "agent", *flags, f"--host={backend.url}"]
        agent = Process("agent", [*argv, f"--credentials=file:{folder}/token"], log=folder / "websockets.log")

        def opened() -> ClientConnection | None:
            try:
                return connect(f"{url.replace('http', 'ws', 1)}/echo", ssl=trust, max_size=None, ping_interval=None)
            except InvalidStatus:
                return None

        with wait_until(opened, within=20 * SECOND, what="a websocket") as websocket:
            for message in ("text", b"binary", b"x" * 5_000_000):
                websocket.send(message)
                assert websocket.recv(20 * SECOND) == message
        agent.stop()


def test_plain_http_leads_to_https_and_shows_what_an_authority_asks_for(proxy: tuple[str, str], folder: Path) -> None:
    https, http = proxy
    challenges = folder / ".well-known" / "acme-challenge"
    challenges.mkdir(parents=True)
    (challenges / "token").write_text("token.thumbprint")

    assert get(http, "/.well-known/acme-challenge/token").body == b"token.thumbprint"
    reply = get(http, "/page?x")
    assert (reply.status, reply.get("Location")) == (308, f"{https}/page?x")


def test_an_address_in_use_is_no_reason_to_give_up_for_good(app: Path, settings: Path, proxy: tuple[str, str]) -> None:
    """Exit status 1, at which the service is started again, and not 2, at which it is not."""
    done = run(app, "-m", "standalone", "--config", str(settings))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "is in use" in done.stderr
