"""HAProxy in front of the stand-alone proxy: what it says in the PROXY protocol is understood."""

import re
import shutil
import ssl
from collections.abc import Iterator
from typing import Final

import pytest

from tests.agent.certificates import Authority
from tests.standalone.by_hand import OK, Agent
from tests.standalone.conftest import introduce
from tests.system.processes import Process, free_port, interpreter
from tests.system.rawhttp import Connection, get, request_bytes
from tests.timing import SECOND, wait_until

HAPROXY: Final = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")

pytestmark = pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed: apt-get install haproxy")

CLIENT: Final = "127.0.0.2"
"""Another address than HAProxy's, which is a trusted peer."""

CONFIG: Final = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen version-1
    bind 127.0.0.1:{v1}
    server proxy 127.0.0.1:{users} send-proxy
listen version-2
    bind 127.0.0.1:{v2}
    server proxy 127.0.0.1:{users} send-proxy-v2 check inter 200ms
listen terminated
    bind 127.0.0.1:{tls} ssl crt {certificate}
    server proxy 127.0.0.1:{users} send-proxy-v2-ssl
"""


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """HAProxy and the proxy behind it, by what is said between them."""
    folder = tmp_path_factory.mktemp("haproxy")
    names = ("users", "agents", "v1", "v2", "tls")
    ports = dict(zip(names, range(free_port(in_a_row=len(names)), 1 << 16), strict=False))
    listen = f"users = '127.0.0.1:{ports['users']}'\nagents = '127.0.0.1:{ports['agents']}'"
    (folder / "proxy.toml").write_text(f"[listen]\n{listen}\nproxy-protocol = 'users'\ntrusted-peers = '127.0.0.1'\n")
    argv = [interpreter("standalone"), "-m", "standalone", "--open", "--config", str(folder / "proxy.toml")]
    proxy = Process("standalone", argv, log=folder / "standalone.log")
    proxy.wait_for_url()
    certificate = Authority(folder).issue("127.0.0.1")
    (folder / "haproxy.cfg").write_text(CONFIG.format(**ports, certificate=certificate))
    assert HAPROXY is not None
    front = Process("haproxy", [HAPROXY, "-f", str(folder / "haproxy.cfg")], log=folder / "haproxy.log")
    wait_until(lambda: _answers(ports["v1"]), within=20 * SECOND, what="HAProxy")
    yield ports
    front.stop()
    status, printed = proxy.stop(), proxy.printed()
    assert (status, "Traceback" in printed) == (0, False), printed


def _answers(port: int) -> bool:
    try:
        return get(f"http://127.0.0.1:{port}", "/").status == 404
    except OSError:
        return False


@pytest.mark.parametrize(("way", "scheme"), [("v1", b"http"), ("v2", b"http"), ("tls", b"https")])
def test_the_client_of_haproxy_is_the_client_of_the_backend(ports: dict[str, int], way: str, scheme: bytes) -> None:
    agent = Agent(f"http://127.0.0.1:{ports['agents']}", backend_id=way)
    introduce(agent)
    tls = ssl.create_default_context() if way == "tls" else None
    if tls is not None:
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE

    fields = [("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "gopher")]
    with Connection(f"http://127.0.0.1:{ports[way]}", tls=tls, source=CLIENT) as user:
        user.send(request_bytes("GET", "/", host=user.host, fields=fields))
        request_id, request = agent.take()
        agent.post(request_id, OK)
        assert user.read_reply().body == b"ok"
    assert re.findall(rb"X-Forwarded-(?:For|Proto): (\S+)\r\n", request) == [CLIENT.encode(), scheme]
