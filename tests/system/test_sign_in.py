"""Users sign in at a real OpenID provider: codes, sessions, several tabs, and all that could be forged on the way."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.openid.provider import CLIENT_ID, CLIENT_SECRET, Visitor
from tests.system.backends import Peer
from tests.system.processes import Process
from tests.system.rawhttp import Reply, call
from tests.system.signed_in import KEY, SESSION, World
from tests.system.websocket_backend import a_backend
from tests.timing import SECOND, wait_until

SIGN_IN = "inverting-proxy-sign-in-"
BACK = "/.inverting-proxy/signed-in"


MakeWorld = Callable[..., World]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, peer: Peer) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("sign-in"), peer.url)
    yield world
    world.stop()


@pytest.fixture
def make_world(tmp_path: Path, peer: Peer) -> Iterator[MakeWorld]:
    """Worlds with settings of a test's own."""
    made: list[World] = []

    def make(**users: Any) -> World:
        made.append(World(tmp_path, peer.url, **users))
        return made[-1]

    yield make
    for world in made:
        world.stop()


def arrived(reply: Reply) -> dict[str, list[str]]:
    """The fields that the backend has seen, by lower-case name."""
    seen: dict[str, list[str]] = {}
    for name, value in json.loads(reply.body)["fields"]:
        seen.setdefault(name.lower(), []).append(value)
    return seen


def wait_for_agent(world: World, visitor: Visitor) -> None:
    wait_until(lambda: visitor.get(f"{world.url}/who").status == 200, within=20 * SECOND, what="an agent online")


def test_whoever_opens_a_page_signs_in_and_gets_it(world: World) -> None:
    visitor = Visitor()
    url, _ = visitor.sign_in(f"{world.url}/who?x=%2F&y", "ada")
    wait_for_agent(world, visitor)
    reply = visitor.get(url)

    assert (url, reply.status) == (f"{world.url}/who?x=%2F&y", 200)
    assert arrived(reply)["x-inverting-proxy-user-id"] == ["ada@example.org"]


def test_the_provider_is_asked_with_pkce_state_and_nonce(world: World) -> None:
    reply = Visitor().get(f"{world.url}/who")
    asked = parse_qs(urlsplit(reply.get("Location") or "").query)

    assert reply.status == 302
    assert (asked["response_type"], asked["code_challenge_method"]) == (["code"], ["S256"])
    assert asked["redirect_uri"] == [f"{world.url}{BACK}"]
    assert min(len(asked[name][0]) for name in ("state", "nonce", "code_challenge")) >= 43
    assert (reply.get("Cache-Control"), reply.get("Referrer-Policy")) == ("no-store", "no-referrer")


def test_no_cookie_of_the_proxy_reaches_a_backend(world: World) -> None:
    visitor = world.visitor()
    visitor.cookies[urlsplit(world.url).netloc]["theirs"] = "1"
    wait_for_agent(world, visitor)

    assert arrived(visitor.get(f"{world.url}/who"))["cookie"] == ["theirs=1"]


def test_a_backend_cannot_set_a_cookie_of_the_proxy(world: World) -> None:
    visitor = world.visitor()
    wait_for_agent(world, visitor)
    for pair in (f"{SESSION}=x", f"={SESSION}=x", f" {SESSION.upper()}=x", f"__Host-{SESSION}=x"):
        raw = f"HTTP/1.1 200 OK\r\nSet-Cookie: {pair}\r\nSet-Cookie: theirs=1\r\nContent-Length: 0\r\n\r\n"
        reply = visitor.get(f"{world.url}/raw?hex={raw.encode().hex()}")

        assert reply.get_all("Set-Cookie") == ["theirs=1"], pair


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("GET", [("Accept", "application/json")]),
        ("GET", [("Accept", "*/*"), ("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")]),
        ("GET", [("Accept", "text/html"), ("X-Requested-With", "XMLHttpRequest")]),
        ("GET", []),
        ("POST", [("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate")]),
        ("OPTIONS", [("Origin", "https://evil.org"), ("Access-Control-Request-Method", "PUT")]),
        (
            "GET",
            [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", "x"), ("Accept", "text/html")],
        ),
    ],
)
def test_what_is_no_page_that_somebody_opens_is_401(method: str, fields: list[tuple[str, str]], world: World) -> None:
    reply = call(world.url, method, "/who", fields=fields, body=b"" if method == "POST" else None)

    assert (reply.status, reply.reason, reply.get("Location")) == (401, "not-signed-in", None)
    assert reply.get("WWW-Authenticate")


@pytest.mark.parametrize("name", ["mallory", "nobody"])
def test_an_address_that_is_not_verified_and_a_name_without_one_do_not_come_in(name: str, world: World) -> None:
    visitor = Visitor()
    url, reply = visitor.sign_in(f"{world.url}/who", name)

    assert (urlsplit(url).path, reply.status, reply.reason) == (BACK, 403, "not-allowed")
    assert SESSION not in visitor.cookies[urlsplit(world.url).netloc]


def test_only_those_who_are_listed_come_in(make_world: MakeWorld) -> None:
    world = make_world(allowed=["grace@example.org"])
    _, refused = Visitor().sign_in(f"{world.url}/who", "ada")

    assert (refused.status, b"ada@example.org is not among the users" in refused.body) == (403, True)
    assert "audit: GET /.inverting-proxy/signed-in refused=not-allowed" in world.proxy.logged()
    world.visitor("grace")


def test_an_address_may_come_from_the_userinfo_endpoint(make_world: MakeWorld) -> None:
    world = make_world(provider={"inIdToken": False})

    wait_for_agent(world, visitor := world.visitor())
    assert arrived(visitor.get(f"{world.url}/who"))["x-inverting-proxy-user-id"] == ["ada@example.org"]


# What comes back from the provider, forged


def back_from_provider(world: World, visitor: Visitor, name: str = "ada") -> str:
    """The URL with which the provider sends a browser back, not asked for yet."""
    url, _ = visitor.sign_in(f"{world.url}/who", name, until=BACK)
    assert BACK in url
    return url


def changed(url: str, **values: str | None) -> str:
    parts = urlsplit(url)
    query = {name: found[0] for name, found in parse_qs(parts.query).items()} | values
    return parts._replace(query=urlencode({key: value for key, value in query.items() if value is not None})).geturl()


def is_out(visitor: Visitor, world: World) -> bool:
    return SESSION not in visitor.cookies[urlsplit(world.url).netloc]


@pytest.mark.parametrize(
    "values",
    [
        {"state": "forged"},
        {"state": None},
        {"state": ""},
        {"iss": "https://evil.org"},
        {"iss": None},
    ],
)
def test_a_forged_answer_signs_nobody_in(values: dict[str, str | None], world: World) -> None:
    visitor = Visitor()
    reply = visitor.get(changed(back_from_provider(world, visitor), **values))

    assert (reply.status, reply.reason, is_out(visitor, world)) == (400, "sign-in-over", True)


def test_a_code_that_the_provider_did_not_give_signs_nobody_in(world: World) -> None:
    visitor = Visitor()
    reply = visitor.get(changed(back_from_provider(world, visitor), code="forged"))

    assert (reply.status, reply.reason, is_out(visitor, world)) == (502, "sign-in-failed", True)
    assert "the identity provider did not confirm a sign-in: status 400, invalid_grant" in world.proxy.logged()


def test_what_the_provider_refuses_is_told_and_not_believed(world: World) -> None:
    visitor = Visitor()
    url = changed(back_from_provider(world, visitor), error="access_denied", error_description="<b>no</b>", code=None)
    reply = visitor.get(url)

    assert (reply.status, reply.reason, is_out(visitor, world)) == (403, "sign-in-refused", True)
    assert (b"access_denied" in reply.body, b"<b>" in reply.body) == (True, False)


def test_an_answer_is_taken_once(world: World) -> None:
    visitor = Visitor()
    url = back_from_provider(world, visitor)
    before = dict(visitor.cookies[urlsplit(world.url).netloc])
    first = visitor.get(url)
    visitor.cookies[urlsplit(world.url).netloc] = before
    again = visitor.get(url)

    assert (first.status, again.status, again.reason) == (302, 400, "sign-in-over")


def test_the_answer_of_one_browser_signs_no_other_in(world: World) -> None:
    attacker, victim = Visitor(), Visitor()
    url = back_from_provider(world, attacker, "eve")
    victim.get(f"{world.url}/who")  # has an attempt of its own
    reply = victim.get(url)

    assert (reply.status, reply.reason, is_out(victim, world)) == (400, "sign-in-over", True)


def test_the_code_of_one_attempt_is_nothing_to_another_of_the_same_browser(world: World) -> None:
    visitor = Visitor()
    first = visitor.get(f"{world.url}/who")
    other_state = parse_qs(urlsplit(first.get("Location") or "").query)["state"][0]
    url = back_from_provider(world, visitor)
    reply = visitor.get(changed(url, state=other_state))

    # PKCE: the provider itself refuses the verifier.
    assert (reply.status, reply.reason, is_out(visitor, world)) == (502, "sign-in-failed", True)


@pytest.mark.parametrize(
    "target",
    ["//evil.org", "https://evil.org", "/\\evil.org", "///evil.org/x", "javascript:alert(1)", "%2F%2Fevil.org"],
)
def test_nobody_is_led_elsewhere(target: str, world: World) -> None:
    visitor = world.visitor()
    reply = visitor.get(f"{world.url}/.inverting-proxy/sign-in?{urlencode({'return': target})}")

    assert (reply.status, reply.get("Location")) == (302, "/")


def test_a_page_may_send_its_user_to_sign_in_and_have_him_back(world: World) -> None:
    visitor = Visitor()
    url, _ = visitor.sign_in(f"{world.url}/.inverting-proxy/sign-in?return=%2Fwho%3Fa%3Db", "ada")

    assert url == f"{world.url}/who?a=b"


def test_several_tabs_sign_in_at_once(world: World) -> None:
    visitor = Visitor()
    wanted = [f"{world.url}/who?tab={number}" for number in range(5)]
    pages = []
    for url in wanted:
        _, page = visitor.follow(visitor.get(url))
        pages.append((visitor.trail[-1], page))
    came = []
    for trail, page in reversed(pages):
        visitor.trail.append(trail)
        _, consent = visitor.follow(visitor.fill_in(page, login="ada", password="x"))
        came.append(visitor.follow(visitor.fill_in(consent) if b"<form" in consent.body else consent)[0])

    assert sorted(came) == wanted


def test_attempts_that_are_given_up_do_not_fill_the_browser(world: World) -> None:
    visitor = Visitor()
    for _ in range(20):
        visitor.get(f"{world.url}/who")
    kept = [name for name in visitor.cookies[urlsplit(world.url).netloc] if name.startswith(SIGN_IN)]

    assert len(kept) == 8
    url, reply = visitor.sign_in(f"{world.url}/who", "ada")
    assert (url, reply.reason in (None, "no-agent")) == (f"{world.url}/who", True)


# Sessions


def test_a_cookie_that_was_changed_is_none(world: World) -> None:
    visitor = world.visitor()
    jar = visitor.cookies[urlsplit(world.url).netloc]
    cookie = jar[SESSION]
    payload, _, tag = cookie.partition(".")
    attempt = visitor.get(f"{world.url}/.inverting-proxy/sign-out")
    token = re.search(rb'name="token" value="([^"]+)"', attempt.body)
    assert token
    forged = [payload[:-2] + "AA." + tag, payload + ".", cookie + "x", "", "x", token[1].decode()]
    for value in forged:
        jar[SESSION] = value
        assert visitor.get(f"{world.url}/who").status == 302, value
    jar[SESSION] = cookie
    assert visitor.get(f"{world.url}/who").status == 200


def test_a_session_that_is_not_used_ends(make_world: MakeWorld) -> None:
    world = make_world(**{"session-idle": "2s", "session-lifetime": "1h"})
    visitor = world.visitor()
    wait_for_agent(world, visitor)
    fields = [("Cookie", f"{SESSION}={visitor.cookies[urlsplit(world.url).netloc][SESSION]}")]
    wait_until(lambda: call(world.url, "GET", "/who", fields=fields).status == 401, within=10 * SECOND, what="the end")


def test_a_session_ends_however_much_it_is_used(make_world: MakeWorld) -> None:
    world = make_world(**{"session-idle": "3s", "session-lifetime": "3s"})
    visitor = world.visitor()
    wait_for_agent(world, visitor)

    wait_until(lambda: visitor.get(f"{world.url}/who").status == 302, within=10 * SECOND, what="the end")


def test_a_session_that_is_used_goes_on(make_world: MakeWorld) -> None:
    world = make_world(**{"session-idle": "3s", "session-lifetime": "1h"})
    visitor = world.visitor()
    first = visitor.cookies[urlsplit(world.url).netloc][SESSION]
    used: set[int] = set()
    cookies = {first}

    def is_renewed_often() -> bool:
        used.add(visitor.get(f"{world.url}/who").status)
        cookies.add(visitor.cookies[urlsplit(world.url).netloc].get(SESSION, ""))
        return len(cookies) > 4  # whole seconds: longer than the idle time

    wait_until(is_renewed_often, within=30 * SECOND, what="new cookies")
    assert used <= {200, 503}
    assert "" not in cookies


def test_a_session_lasts_over_a_restart_and_a_change_of_keys(make_world: MakeWorld) -> None:
    world = make_world()
    visitor = world.visitor()
    wait_for_agent(world, visitor)
    world.proxy.restart()
    wait_for_agent(world, visitor)
    world.keys.write_text(f"another key, which is just as long as that\n{KEY}\n")
    wait_until(lambda: "session.keys: read again" in world.proxy.logged(), within=10 * SECOND, what="the new key")
    kept = visitor.get(f"{world.url}/who").status
    world.keys.write_text("another key, which is just as long as that\n")
    wait_until(lambda: world.proxy.logged().count("session.keys: read again") == 2, within=10 * SECOND, what="its end")

    assert (kept, visitor.get(f"{world.url}/who").status) == (200, 302)


# Signing out


def sign_out_token(visitor: Visitor, world: World) -> str:
    page = visitor.get(f"{world.url}/.inverting-proxy/sign-out")
    found = re.search(rb'name="token" value="([^"]+)"', page.body)
    assert found
    assert page.get("X-Frame-Options") == "DENY"
    return found[1].decode()


def test_who_signs_out_is_out_here_and_a_copy_of_his_cookie_opens_nothing(world: World) -> None:
    visitor = world.visitor()
    copy = visitor.cookies[urlsplit(world.url).netloc][SESSION]
    token = sign_out_token(visitor, world)
    url = f"{world.url}/.inverting-proxy/sign-out"
    reply = visitor.post(url, {"token": token}, ("Origin", world.url), ("Sec-Fetch-Site", "same-origin"))

    assert reply.status == 303
    assert (reply.get("Location") or "").startswith(f"{world.provider.issuer}/session/end?client_id={CLIENT_ID}&")
    assert is_out(visitor, world)
    assert call(world.url, "GET", "/who", fields=[("Cookie", f"{SESSION}={copy}")]).status == 401
    assert "audit: sign-out by=ada@example.org" in world.proxy.logged()


def test_who_has_signed_out_is_out_after_a_restart_where_there_is_a_database(make_world: MakeWorld) -> None:
    world = make_world()
    world.proxy.restart(storage={"database": str(world.proxy.folder / "proxy.sqlite3")})
    leaving, staying = world.visitor(), world.visitor("grace")
    wait_for_agent(world, staying)
    host, url = urlsplit(world.url).netloc, f"{world.url}/.inverting-proxy/sign-out"
    copies = [visitor.cookies[host][SESSION] for visitor in (leaving, staying)]
    leaving.post(url, {"token": sign_out_token(leaving, world)}, ("Origin", world.url))
    world.proxy.restart()
    wait_for_agent(world, staying)

    statuses = [call(world.url, "GET", "/who", fields=[("Cookie", f"{SESSION}={copy}")]).status for copy in copies]
    assert statuses == [401, 200]


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        ({}, [("Origin", "{url}")]),
        ({"token": "forged"}, [("Origin", "{url}")]),
        ({"token": "{others}"}, [("Origin", "{url}")]),
        ({"token": "{own}"}, [("Origin", "https://evil.org")]),
        ({"token": "{own}"}, [("Sec-Fetch-Site", "cross-site")]),
    ],
)
def test_nobody_is_signed_out_by_another_page(
    form: dict[str, str], fields: list[tuple[str, str]], world: World
) -> None:
    visitor, other = world.visitor(), world.visitor("grace")
    values = {"own": sign_out_token(visitor, world), "others": sign_out_token(other, world), "url": world.url}
    content = ("Content-Type", "application/x-www-form-urlencoded")
    body = urlencode({name: value.format(**values) for name, value in form.items()}).encode()
    given = [(name, value.format(**values)) for name, value in fields]
    reply = visitor.send("POST", f"{world.url}/.inverting-proxy/sign-out", content, *given, body=body)

    assert (reply.status, is_out(visitor, world)) == (403, False)
    assert visitor.get(f"{world.url}/who").status in (200, 503)


def test_a_link_signs_nobody_out(world: World) -> None:
    visitor = world.visitor()
    visitor.get(f"{world.url}/.inverting-proxy/sign-out")

    assert not is_out(visitor, world)


# Pages of other sites


@pytest.mark.parametrize(
    ("method", "fields", "status"),
    [
        ("POST", [("Origin", "https://evil.org")], 403),
        ("DELETE", [("Sec-Fetch-Site", "same-site")], 403),
        ("POST", [("Origin", "null")], 403),
        ("GET", [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Origin", "https://evil.org")], 403),
        ("POST", [("Origin", "{url}")], 200),
        ("POST", [], 200),
        ("POST", [("Origin", "https://app.example.org")], 200),
        ("GET", [("Origin", "https://evil.org"), ("Sec-Fetch-Site", "cross-site")], 200),
    ],
)
def test_another_site_changes_nothing_in_a_users_name(
    method: str, fields: list[tuple[str, str]], status: int, world_with_app: World
) -> None:
    visitor = world_with_app.visitor()
    wait_for_agent(world_with_app, visitor)
    given = [(name, value.format(url=world_with_app.url)) for name, value in fields]
    reply = visitor.send(method, f"{world_with_app.url}/who", *given, body=None if method == "GET" else b"")

    assert reply.status == status


@pytest.fixture(scope="module")
def world_with_app(tmp_path_factory: pytest.TempPathFactory, peer: Peer) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("with-app")
    world = World(folder, peer.url, **{"allowed-origins": ["https://app.example.org"]})
    yield world
    world.stop()


def test_another_host_is_misdirected(world: World) -> None:
    reply = call(world.url, "GET", "/who", fields=[("Host", "evil.org"), ("Accept", "text/html")])

    assert (reply.status, reply.reason) == (421, "unknown-host")


# The provider


def test_while_the_provider_is_down_sessions_go_on_and_nobody_new_comes_in(make_world: MakeWorld) -> None:
    world = make_world()
    visitor, late = world.visitor(), Visitor()
    wait_for_agent(world, visitor)
    back = back_from_provider(world, late)
    world.provider.stop()
    refused = late.get(back)

    assert visitor.get(f"{world.url}/who").status == 200
    assert (refused.status, refused.reason) == (503, "sign-in-unavailable")
    assert refused.get("Retry-After")
    world.provider.restart()
    wait_until(lambda: comes_in(world), within=30 * SECOND, what="somebody new, by a token that a new key has signed")


def comes_in(world: World) -> bool:
    visitor = Visitor()
    visitor.sign_in(f"{world.url}/who", "grace")
    return not is_out(visitor, world)


def test_the_proxy_starts_without_its_provider(make_world: MakeWorld) -> None:
    world = make_world()
    world.provider.stop()
    world.proxy.restart()
    reply = Visitor().get(f"{world.url}/who")

    assert (reply.status, reply.reason) == (503, "sign-in-unavailable")


def test_no_secret_is_in_any_log(make_world: MakeWorld) -> None:
    world = make_world()
    visitor = Visitor()
    url = back_from_provider(world, visitor)
    visitor.follow(visitor.get(url))
    secrets = [
        *(value for values in parse_qs(urlsplit(url).query).values() for value in values if len(value) > 20),
        *(value for value in visitor.cookies[urlsplit(world.url).netloc].values() if len(value) > 20),
        *[CLIENT_SECRET, KEY, world.proxy.token],
    ]
    secrets.remove(world.provider.issuer)
    programs: list[Process] = [world.proxy.process, *world.proxy.agents]

    assert [secret for secret in secrets for program in programs if secret in program.printed()] == []


@pytest.fixture
def websockets(tmp_path: Path) -> Iterator[World]:
    """A world of a test's own, whose backend takes websockets."""
    with a_backend() as backend:
        world = World(tmp_path, backend.url)
        yield world
        world.stop()


def opened(world: World, path: str, cookie: str, *, origin: str = "") -> ClientConnection:
    url = f"{world.url.replace('http', 'ws', 1)}{path}"
    return connect(url, origin=Origin(origin or world.url), additional_headers={"Cookie": cookie})


def cookie_of(visitor: Visitor, world: World) -> str:
    wait_until(lambda: is_online(world, visitor), within=20 * SECOND, what="an agent online")
    return f"{SESSION}={visitor.cookies[urlsplit(world.url).netloc][SESSION]}; theirs=1"


def test_a_websocket_is_for_whom_has_signed_in_and_for_our_own_pages(websockets: World) -> None:
    cookie = cookie_of(websockets.visitor(), websockets)
    with opened(websockets, "/fields", cookie) as websocket:
        told = str(websocket.recv(20 * SECOND))
    refused = []
    for origin, sent in ((websockets.url, ""), ("https://evil.org", cookie)):
        with pytest.raises(InvalidStatus) as caught:
            opened(websockets, "/fields", sent, origin=origin)
        refused.append(caught.value.response.status_code)

    assert ("ada@example.org" in told, "theirs=1" in told, SESSION in told) == (True, True, False)
    assert refused == [401, 403]


def test_a_websocket_ends_within_seconds_when_its_user_signs_out(websockets: World) -> None:
    leaving, staying = websockets.visitor(), websockets.visitor("grace")
    cookies = [cookie_of(visitor, websockets) for visitor in (leaving, staying)]
    with opened(websockets, "/echo", cookies[0]) as ended, opened(websockets, "/echo", cookies[1]) as kept:
        form = {"token": sign_out_token(leaving, websockets)}
        leaving.post(f"{websockets.url}/.inverting-proxy/sign-out", form, ("Origin", websockets.url))
        with pytest.raises(ConnectionClosedError):
            ended.recv(10 * SECOND)
        kept.send("hello")
        answer = kept.recv(10 * SECOND)

    assert answer == "hello"
    assert "reason=not-allowed" in websockets.proxy.logged()


def is_online(world: World, visitor: Visitor) -> bool:
    return visitor.get(f"{world.url}/").reason != "no-agent"
