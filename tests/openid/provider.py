"""Starts the provider of `provider.mjs`, where node is, and signs in at it as a browser would."""

import html
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urljoin, urlsplit

import pytest

from tests.system.processes import Process, free_port
from tests.system.rawhttp import Reply, call

FOLDER: Final = Path(__file__).parent
INSTALL: Final = "apt-get install nodejs npm, and `make tests/openid/node_modules`"
CLIENT_ID, CLIENT_SECRET = "proxy", "a secret/with+signs"


class OpenIdProvider:
    """A provider for one proxy, which may be stopped, and started anew with other keys."""

    def __init__(self, folder: Path, proxy_url: str, **options: Any) -> None:
        _require_node()
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self._log = folder / f"provider-{self.port}.log"
        self._options = {"port": self.port, "clients": [_client(proxy_url)], **options}
        self.process = self._start()

    def _start(self) -> Process:
        argv = ["node", str(FOLDER / "provider.mjs"), json.dumps(self._options)]
        process = Process("provider", argv, log=self._log)
        process.wait_for_url()
        return process

    def stop(self) -> None:
        self.process.stop()

    def restart(self) -> None:
        """With new keys, and without a memory."""
        self.process.stop()
        self.process = self._start()


def _client(proxy_url: str) -> dict[str, object]:
    return {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uris": [f"{proxy_url}/.inverting-proxy/signed-in"],
        "post_logout_redirect_uris": [f"{proxy_url}/.inverting-proxy/signed-out"],
    }


def _require_node() -> None:
    if shutil.which("node") and (FOLDER / "node_modules" / "oidc-provider").is_dir():
        return
    missing = f"there is no OpenID provider: {INSTALL}"
    if os.environ.get("REQUIRE_OPENID_PROVIDER") == "1":
        pytest.fail(f"REQUIRE_OPENID_PROVIDER=1, but: {missing}", pytrace=False)
    pytest.skip(f"NOT TESTED against an OpenID provider: {missing}")


class Visitor:
    """A browser without scripts: it keeps cookies by host, follows redirects, and fills in forms."""

    def __init__(self) -> None:
        self.cookies: dict[str, dict[str, str]] = {}
        """By host, by name; a cookie for some paths alone is called `name;/path`."""
        self.trail: list[str] = []
        """Every URL that was asked for."""

    def get(self, url: str, *fields: tuple[str, str]) -> Reply:
        """One request of somebody who opens a page; redirects are not followed."""
        return self.send("GET", url, *NAVIGATION, *fields)

    def send(self, method: str, url: str, *fields: tuple[str, str], body: bytes | None = None) -> Reply:
        parts = urlsplit(url)
        self.trail.append(url)
        jar = self.cookies.setdefault(parts.netloc, {})
        pairs = [f"{key.partition(';')[0]}={value}" for key, value in jar.items() if parts.path.startswith(_path(key))]
        cookie = [("Cookie", "; ".join(pairs))] if pairs else []
        target = parts._replace(scheme="", netloc="").geturl() or "/"
        reply = call(f"{parts.scheme}://{parts.netloc}", method, target, fields=[*fields, *cookie], body=body)
        for field in reply.get_all("Set-Cookie"):
            name, _, value = field.partition(";")[0].partition("=")
            path = re.search(r"(?i); *path=(/[^;]+)", field)
            name += f";{path[1]}" if path else ""
            # A cookie that is over has an end in the past, or no time to live.
            is_over = "max-age=0" in field.lower() or "1970" in field
            jar.pop(name, None) if is_over else jar.update({name: value})
        return reply

    def post(self, url: str, form: dict[str, str], *fields: tuple[str, str]) -> Reply:
        """Send a form of the page's own."""
        content = ("Content-Type", "application/x-www-form-urlencoded")
        return self.send("POST", url, *NAVIGATION, content, *fields, body=urlencode(form).encode())

    def follow(self, reply: Reply, *, until: str = "\0") -> tuple[str, Reply]:
        """Follow redirects as far as they go, or up to a URL with some text in it, which is not asked for; the URL and
        the last answer."""
        url = self.trail[-1]
        while (location := reply.get("Location")) is not None:
            url = urljoin(url, location)
            if until in url:
                break
            reply = self.get(url)
        return url, reply

    def fill_in(self, reply: Reply, **values: str) -> Reply:
        """Send the first form of a page with its own fields and some values."""
        page = reply.body.decode()
        form = re.search(r"<form[^>]*action=\"([^\"]+)\".*?</form>", page, re.DOTALL)
        assert form, page
        fields = re.findall(r"<input[^>]*type=\"hidden\"[^>]*>", form[0])
        given = {_attribute(field, "name"): _attribute(field, "value") for field in fields}
        return self.post(urljoin(self.trail[-1], html.unescape(form[1])), given | values)

    def sign_in(self, url: str, name: str, *, until: str = "\0") -> tuple[str, Reply]:
        """Open a page, sign in at the provider, and come back: the URL and the answer in the end."""
        _, page = self.follow(self.get(url))
        _, page = self.follow(self.fill_in(page, login=name, password="x"))
        return self.follow(self.fill_in(page), until=until)


NAVIGATION: Final = (("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Site", "none"))


def _path(key: str) -> str:
    return key.partition(";")[2] or "/"


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'\b{name}="([^"]*)"', tag)
    return html.unescape(found[1]) if found else ""
