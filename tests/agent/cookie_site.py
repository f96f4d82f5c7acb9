"""A site that sets cookies as it is told and notes which ones come back; and the same visits with the agent's jar.

All names lead to it, by https: browsers treat cookies of plain http otherwise.
"""

import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.sessions.domains import host_of, path_of
from agent.sessions.jar import Jar, Place
from agent.sessions.set_cookie import parse_set_cookie
from tests.timing import SECOND

END: Final = "/the-end"


@dataclass(frozen=True)
class Visit:
    """A page of some host, and the `Set-Cookie` fields of its answer."""

    host: str
    path: str
    sets: Sequence[str] = ()


@dataclass
class Noted:
    """What a client sent on a visit."""

    cookies: str
    site: str = ""


@dataclass
class Site:
    """The running site; give it `visits`, have a client make them, and look at `noted`."""

    port: int
    visits: Sequence[Visit] = ()
    noted: dict[int, Noted] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)

    def prepare(self, visits: Sequence[Visit]) -> None:
        self.visits = visits
        self.noted = {}
        self.ended.clear()

    def url(self, number: int) -> str:
        if number == len(self.visits):
            return f"https://localhost:{self.port}{END}"
        visit = self.visits[number]
        return f"https://{visit.host}:{self.port}{visit.path}?visit={number}"

    @property
    def cookies(self) -> list[list[str]]:
        """For each visit the cookies that came, sorted: in what order they come is another question."""
        return [pairs(self.noted[number].cookies) for number in range(len(self.visits))]

    def wait_until_ended(self) -> None:
        assert self.ended.wait(240 * SECOND), f"only {len(self.noted)} of {len(self.visits)} visits were made"


def pairs(cookies: str) -> list[str]:
    return sorted(cookies.split("; ")) if cookies else []


def visited_with_our_jar(visits: Sequence[Visit], *, sites: Sequence[str] = ()) -> list[str]:
    """The `Cookie` field of each visit; `sites` are the values of `Sec-Fetch-Site`."""
    jar, found, now = Jar(), [], datetime.now(UTC)
    for number, visit in enumerate(visits):
        place = Place(host_of(visit.host), path_of(visit.path))
        is_cross_site = bool(sites) and sites[number] == "cross-site"
        cookies = jar.cookies_for(place, is_cross_site=is_cross_site, now=now)
        found.append("; ".join(f"{name}={value}" if name else value for name, value in cookies))
        for text in visit.sets:
            # A server that sends UTF-8 sends it as octets.
            cookie = parse_set_cookie(text.encode().decode("latin-1"), now=now)
            if cookie is not None:
                jar.put(cookie, at=place, now=now)
    return found


class _Handler(BaseHTTPRequestHandler):
    site: Site
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        target = urlsplit(self.path)
        number = int(parse_qs(target.query).get("visit", ["-1"])[0])
        body = b""
        self.send_response(200)
        if target.path == END:
            self.site.ended.set()
        elif number >= 0:
            cookies = "; ".join(self.headers.get_all("Cookie", []))
            self.site.noted[number] = Noted(cookies, self.headers.get("Sec-Fetch-Site", ""))
            for text in self.site.visits[number].sets:
                self._headers_buffer.append(b"Set-Cookie: " + text.encode() + b"\r\n")  # type: ignore[attr-defined]
            body = f"<!doctype html><script>location.replace('{self.site.url(number + 1)}')</script>".encode()
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def a_site(folder: Path) -> Iterator[Site]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler, bind_and_activate=False)
    server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.server_bind()
    server.server_activate()
    site = Site(server.server_address[1])
    server.RequestHandlerClass = type("_Bound", (_Handler,), {"site": site})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


def _certificate(folder: Path) -> Path:
    """A self-signed one; clients are told not to care."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "certificate.pem"
    path.write_bytes(made.public_bytes(pem) + secret)
    return path
