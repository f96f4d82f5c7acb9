"""What a message says passes as it was said; what belongs to one connection stays on it."""

import json
from typing import Any

import pytest

from tests.system.rawhttp import Connection, Fields, Reply, call, chunked, get, request_bytes
from tests.system.shapes import Site


def seen(reply: Reply) -> dict[str, Any]:
    """What arrived at the backend."""
    assert reply.status == 200, reply
    arrived: dict[str, Any] = json.loads(reply.body)
    return arrived


def fields_seen(reply: Reply) -> Fields:
    return [(name, value) for name, value in seen(reply)["fields"]]


def answer(site: Site, raw: str, *, method: str = "GET") -> Reply:
    """What the client gets when the backend says `raw`."""
    return call(site.url, method, f"/raw?hex={raw.encode('latin-1').hex()}")


def with_body(site: Site, head: str) -> Reply:
    return answer(site, f"HTTP/1.1 {head}\r\nContent-Length: 2\r\n\r\nok")


# Methods and bodies


@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "PURGE", "M-SEARCH", "REPORT"]
)
def test_a_method_arrives(method: str, site: Site) -> None:
    assert seen(call(site.url, method, "/any"))["method"] == method


def test_a_request_without_a_body_arrives_without_one(site: Site) -> None:
    names = {name.lower() for name, _ in fields_seen(get(site.url, "/any"))}

    assert not names & {"content-length", "transfer-encoding", "content-type"}


def test_an_empty_body_that_was_announced_arrives_announced(site: Site) -> None:
    assert ("Content-Length", "0") in fields_seen(call(site.url, "POST", "/any", body=b""))


def test_no_field_is_invented(site: Site) -> None:
    names = [name for name, _ in fields_seen(get(site.url, "/any"))]

    assert sorted(names) == ["Host", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"]


def test_the_host_arrives_as_the_client_said_it(site: Site) -> None:
    reply = get(site.url, "/any", ("Host", "notebooks.example.com:8443"))

    assert ("Host", "notebooks.example.com:8443") in fields_seen(reply)


def test_two_cookie_lines_are_one_list_of_cookies(site: Site) -> None:
    """Two lines are against RFC 6265 section 5.4. WSGI joins repeated fields by a comma (PEP 3333), which is the limit
    that `edge/wsgi.py` states."""
    reply = get(site.url, "/any", ("Cookie", "a=1"), ("Cookie", "b=2"))

    cookies = [value for name, value in fields_seen(reply) if name.lower() == "cookie"]
    assert "; ".join(cookies) in (["a=1; b=2"] if site.shape.name == "standalone" else ["a=1; b=2", "a=1,b=2"])


def test_repeated_fields_arrive_in_order(site: Site) -> None:
    reply = get(site.url, "/any", ("X-List", "one"), ("X-List", "two"))

    values = [value for name, value in fields_seen(reply) if name.lower() == "x-list"]
    assert [item.strip() for value in values for item in value.split(",")] == ["one", "two"]


# Answers


@pytest.mark.parametrize("code", [204, 304, 205])
def test_a_status_without_a_body_passes_without_one(code: int, site: Site) -> None:
    reply = get(site.url, f"/status?code={code}")

    assert (reply.status, reply.body, reply.get("X-Peer"), reply.get("ETag")) == (code, b"", "status", '"1"')


@pytest.mark.parametrize("code", [200, 204, 304, 404])
def test_the_connection_goes_on_after_an_answer_without_a_body(code: int, site: Site) -> None:
    with Connection(site.url) as connection:
        for method, target in (("HEAD", "/big?n=1000"), ("HEAD", "/any"), ("GET", f"/raw?hex={head_of(code)}")):
            connection.send(request_bytes(method, target, host=connection.host))
            connection.read_reply(method)
        connection.send(request_bytes("POST", "/echo", host=connection.host, body=b"still here"))

        assert connection.read_reply("POST").body == b"still here"


def head_of(code: int) -> str:
    length = "" if code in (204, 304) else "Content-Length: 0\r\n"
    return f"HTTP/1.1 {code} Peer\r\n{length}\r\n".encode().hex()


def test_head_has_the_length_of_get_and_no_body(site: Site) -> None:
    reply = call(site.url, "HEAD", "/echo?head")

    assert (reply.status, reply.body, reply.get("Content-Length")) == (200, b"", "0")
    assert call(site.url, "HEAD", "/any").get("Content-Length") not in (None, "0")


def test_a_not_modified_answer_keeps_its_length(site: Site) -> None:
    reply = answer(site, 'HTTP/1.1 304 Peer\r\nETag: "1"\r\nContent-Length: 1000\r\n\r\n')

    assert (reply.status, reply.get("ETag"), reply.body) == (304, '"1"', b"")


def test_two_cookies_are_set_by_two_fields_in_order(site: Site) -> None:
    reply = with_body(
        site, "200 OK\r\nSet-Cookie: a=1; Path=/\r\nX-Mid: x\r\nSet-Cookie: b=2; Expires=Wed, 01 Jan 2031"
    )

    assert reply.get_all("Set-Cookie") == ["a=1; Path=/", "b=2; Expires=Wed, 01 Jan 2031"]


def test_an_empty_value_and_one_beyond_ascii_pass(site: Site) -> None:
    reply = with_body(site, "200 OK\r\nX-Empty:\r\nX-Latin: caf\xe9")

    assert (reply.get("X-Empty"), reply.get("X-Latin")) == ("", "caf\xe9")


@pytest.mark.parametrize("interim", ["100 Continue", "102 Processing", "103 Early Hints"])
def test_an_interim_answer_is_not_the_answer(interim: str, site: Site) -> None:
    reply = answer(site, f"HTTP/1.1 {interim}\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    assert (reply.status, reply.body, reply.get("Link")) == (200, b"ok", None)


def test_an_answer_that_ends_with_its_connection_is_whole(site: Site) -> None:
    reply = answer(site, "HTTP/1.1 200 OK\r\n\r\nuntil the end")

    assert (reply.body, reply.is_whole) == (b"until the end", True)


def test_an_answer_of_http_1_0_passes(site: Site) -> None:
    reply = answer(site, "HTTP/1.0 200 Fine\r\nX-Old: yes\r\n\r\nold")

    assert (reply.status, reply.body, reply.get("X-Old")) == (200, b"old", "yes")


@pytest.mark.parametrize("status", [226, 299, 418, 451, 511, 599])
def test_an_unusual_status_passes(status: int, site: Site) -> None:
    assert with_body(site, f"{status} Odd").status == status


def test_a_redirect_is_the_clients_to_follow(site: Site) -> None:
    reply = with_body(site, "302 Found\r\nLocation: http://127.0.0.1:1/elsewhere")

    assert (reply.status, reply.get("Location")) == (302, "http://127.0.0.1:1/elsewhere")


def test_a_switch_of_protocols_that_nobody_asked_for_is_a_broken_answer(site: Site) -> None:
    reply = answer(site, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")

    assert (reply.status, bool(reply.reason)) == (502, True)


# One hop's fields


def test_what_belongs_to_the_clients_connection_does_not_reach_the_backend(site: Site) -> None:
    fields = [
        ("Connection", "close, X-Mine"),
        ("Connection", "x-also"),
        ("X-Mine", "1"),
        ("X-Also", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Proxy-Authorization", "Basic secret"),
        ("TE", "trailers"),
        ("X-Kept", "1"),
    ]

    arrived = {name.lower() for name, _ in fields_seen(call(site.url, "GET", "/any", fields=fields))}

    assert "x-kept" in arrived
    assert not arrived & {"x-mine", "x-also", "keep-alive", "proxy-connection", "proxy-authorization", "te"}


def test_what_belongs_to_the_backends_connection_does_not_reach_the_client(site: Site) -> None:
    reply = with_body(
        site,
        "200 OK\r\nConnection: X-Mine\r\nConnection: close\r\nX-Mine: 1\r\nKeep-Alive: timeout=77\r\n"
        "Proxy-Connection: close\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\nX-Kept: 1",
    )

    names = {name.lower() for name, _ in reply.fields}
    assert reply.get("X-Kept") == "1"
    assert not names & {"x-mine", "proxy-connection", "proxy-authenticate", "upgrade"}
    assert reply.get("Keep-Alive") != "timeout=77"


def test_host_and_length_survive_a_connection_field_that_names_them(site: Site) -> None:
    fields = [("Connection", "Host, Content-Length, Content-Type"), ("Content-Type", "text/plain")]

    arrived = seen(call(site.url, "POST", "/any", fields=fields, body=b"hello"))

    assert arrived["length"] == 5
    assert "host" in {name.lower() for name, _ in arrived["fields"]}


@pytest.mark.parametrize("trailer", ["X-Sum: 1", "Host: evil", "Authorization: evil", "Content-Length: 99"])
def test_a_trailer_does_not_become_a_field_of_the_head(trailer: str, site: Site) -> None:
    """A server may refuse it too."""
    body = chunked(b"hello", b" world", trailers=f"{trailer}\r\n")

    reply = call(site.url, "POST", "/any", fields=[("Transfer-Encoding", "chunked")], body=body)

    if reply.status != 400:
        arrived = seen(reply)
        assert arrived["length"] == 11
        assert "evil" not in json.dumps(arrived)
        assert ["Content-Length", "99"] not in arrived["fields"]


def test_a_client_of_http_1_0_is_served(site: Site) -> None:
    with Connection(site.url) as connection:
        connection.send(f"GET /big?n=1000&chunked HTTP/1.0\r\nHost: {connection.host}\r\n\r\n".encode())
        reply = connection.read_reply()

    assert (reply.status, len(reply.body), reply.get("Transfer-Encoding")) == (200, 1000, None)


def test_requests_sent_ahead_on_one_connection_are_answered_in_order(site: Site) -> None:
    with Connection(site.url) as connection:
        bodies = [b"first", b"second", b"third"]
        connection.send(b"".join(request_bytes("POST", "/echo", host=connection.host, body=body) for body in bodies))

        assert [connection.read_reply("POST").body for _ in bodies] == bodies
