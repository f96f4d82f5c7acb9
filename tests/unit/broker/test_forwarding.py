"""Header fields that travel on, those that do not, and those that are ours to set; both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.forwarding import Client, forwarded_request, forwarded_response, forwarded_trailers, in_origin_form
from wire.headers import Headers
from wire.http1 import CHUNKED, RequestHead, ResponseHead

CLIENT = Client(address="192.0.2.7", scheme="https")
NOBODY = Client(address="", scheme="")
HOST = ("Host", "example.com")

FORGED = [
    *["X-Inverting-Proxy-User-ID", "X-Inverting-Proxy-Backend-ID", "X-Inverting-Proxy-Request-ID"],
    *["X-Inverting-Proxy-Agent-ID", "X-Inverting-Proxy-VM-ID", "X-Inverting-Proxy-Error", "X-Inverting-Proxy-New"],
    *["X-Appengine-User-Email", "X-Appengine-Cron", "X-AppEngine-Inbound-Appid"],
    *["X-Goog-IAP-JWT-Assertion", "X-Goog-Authenticated-User-Email", "X-Google-Internal", "X-Cloud-Trace-Context"],
    *["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-User", "X-Forwarded-Email", "Forwarded"],
]


def request_of(*fields: tuple[str, str]) -> RequestHead:
    return RequestHead("GET", "/a?b", Headers(fields), None)


def sent(*fields: tuple[str, str], client: Client = NOBODY) -> list[tuple[str, str]]:
    """What the backend sees of a request with a Host and these fields, without what the proxy says of the Host."""
    host, *rest = forwarded_request(request_of(HOST, *fields), client).headers
    assert host == HOST
    return [pair for pair in rest if pair != ("X-Forwarded-Host", "example.com")]


def answered(*fields: tuple[str, str]) -> list[tuple[str, str]]:
    return list(forwarded_response(ResponseHead(200, Headers(fields), None)).headers)


def spellings(name: str) -> list[str]:
    return [name, name.lower(), name.upper(), name.replace("-", "_"), name.lower().replace("-", "_", 1)]


@pytest.mark.parametrize("name", [spelling for name in FORGED for spelling in spellings(name)])
def test_a_client_cannot_set_what_is_ours_or_the_platforms(name: str) -> None:
    assert sent((name, "root@example.com"), ("X-Fine", "a"), (name, "")) == [("X-Fine", "a")]


@given(st.data(), st.sampled_from(FORGED))
def test_in_no_spelling_at_all(data: st.DataObject, name: str) -> None:
    letters = [data.draw(st.sampled_from([c.lower(), c.upper(), "_" if c == "-" else c])) for c in name]

    assert sent(("".join(letters), "root@example.com")) == []


@pytest.mark.parametrize(
    "options", ["X-Inverting-Proxy-User-ID", "close, x-forwarded-for, X-Forwarded-Proto", "X-Forwarded-Host, Host"]
)
def test_a_client_cannot_remove_what_the_proxy_sets_by_naming_it_in_connection(options: str) -> None:
    headers = forwarded_request(request_of(HOST, ("Connection", options)), CLIENT).headers

    assert list(headers) == [
        HOST,
        ("X-Forwarded-For", "192.0.2.7"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "example.com"),
    ]


@pytest.mark.parametrize(
    ("client", "known"),
    [
        (CLIENT, [("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https")]),
        (Client("::1", ""), [("X-Forwarded-For", "::1")]),
        (NOBODY, []),
    ],
)
def test_the_proxy_says_what_it_knows_and_nothing_else(client: Client, known: list[tuple[str, str]]) -> None:
    assert sent(("X-Forwarded-For", "10.0.0.1"), client=client) == known


def test_a_request_without_a_host_gets_none() -> None:
    assert list(forwarded_request(request_of(), NOBODY).headers) == []


@pytest.mark.parametrize(
    "name", ["Connection", "Keep-Alive", "TE", "Transfer_Encoding", "Upgrade", "Proxy-Authorization"]
)
def test_fields_of_one_hop_do_not_travel_either_way(name: str) -> None:
    assert sent((name, "x")) == answered((name, "x")) == []


def test_all_else_travels_as_it_came_either_way() -> None:
    fields = [("Cookie", "a=1"), ("cookie", "b=2"), ("X-Empty", ""), ("Authorization", "Bearer x"), ("X_Under", "\xff")]

    assert sent(*fields) == answered(*fields) == fields


@pytest.mark.parametrize("length", [None, 0, 5, CHUNKED])
def test_method_target_status_and_framing_are_not_touched(length: object) -> None:
    request = forwarded_request(RequestHead("PURGE", "//a/../%2F?", Headers([HOST]), length), CLIENT)  # type: ignore[arg-type]
    response = forwarded_response(ResponseHead(799, Headers(), length))  # type: ignore[arg-type]

    assert (request.method, request.target, request.length) == ("PURGE", "//a/../%2F?", length)
    assert response == ResponseHead(799, Headers(), length)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cookie", "left"),
    [
        ("a=1; SACSID=x; b=2", "a=1; b=2"),
        ("SACSID=x; a=1", "a=1"),
        ("a=1; ACSID=x", "a=1"),
        ("a=1;ACSID=x;b=2", "a=1;b=2"),
        ("a=1; sacsid = x;  b=2", "a=1;  b=2"),
        ("GCP_IAP_UID=1; GCP_IAP_XSRF_NONCE_abc=2; a=1", "a=1"),
        ("GCP_IAAP_AUTH_TOKEN_ABC=1; a=1", "a=1"),
        ("__Host-GCP_IAP_AUTH_TOKEN_ABC=1; a=1; SACSID=", "a=1"),
        ("SACSID; a=1", "a=1"),
        ("inverting-proxy-session=x; a=1; __Host-Inverting-Proxy-sign-in-abc=y", "a=1"),
        ("a=1; =inverting-proxy-session=x; ==__Host-inverting-proxy-session=y", "a=1"),
    ],
)
def test_the_cookies_that_log_in_to_the_proxy_stay_here(cookie: str, left: str) -> None:
    assert sent(("Cookie", cookie)) == [("Cookie", left)]


@pytest.mark.parametrize("cookie", ["SACSID=x", "ACSID=x; SACSID=y", " GCP_IAP_UID=1;"])
def test_nothing_is_left_of_a_cookie_field_with_nothing_else(cookie: str) -> None:
    assert sent(("Cookie", cookie), ("X-Fine", "a")) == [("X-Fine", "a")]


@pytest.mark.parametrize(
    "cookie",
    [
        "a=1;  b=2;",
        "a=SACSID=x",
        "ACSIDENTITY=1",
        "XSACSID=1",
        ' a="b c" ; d',
        "",
        ";;",
        "my_GCP_IAP=1",
        "=a=1",
        "inverting-proxy=1",
    ],
)
def test_cookies_of_a_backend_travel_byte_for_byte(cookie: str) -> None:
    assert sent(("Cookie", cookie)) == [("Cookie", cookie)]


@pytest.mark.parametrize(
    "name",
    ["SACSID", "acsid", "GCP_IAP_UID", "GCP_IAAP_AUTH_TOKEN_A", "__Host-GCP_IAP_AUTH_TOKEN_A"]
    + [
        "inverting-proxy-session",
        "__Host-inverting-proxy-session",
        "=inverting-proxy-session",
        "__host-Inverting-Proxy-x",
    ],
)
def test_a_backend_cannot_set_a_cookie_that_logs_in_to_the_proxy(name: str) -> None:
    assert answered(("Set-Cookie", f"{name}=x; Path=/"), ("set-cookie", f" {name} =y"), ("Set-Cookie", "a=1")) == [
        ("Set-Cookie", "a=1")
    ]


@pytest.mark.parametrize(
    "name",
    ["X-AppEngine-BlobKey", "x_appengine_blobkey", "X-Google-Something", "X-Inverting-Proxy-User-ID"]
    + ["X-Inverting-Proxy-Request-ID", "x_inverting_proxy_error"],
)
def test_a_backend_cannot_speak_to_the_platform_or_in_our_name(name: str) -> None:
    assert answered((name, "x"), ("X-Fine", "a")) == [("X-Fine", "a")]


def test_the_reason_that_an_agent_gives_travels_to_the_client() -> None:
    assert answered(("X-Inverting-Proxy-Error", "backend-unreachable")) == [
        ("X-Inverting-Proxy-Error", "backend-unreachable")
    ]


@pytest.mark.parametrize(
    ("target", "origin", "host"),
    [
        ("/path?q", "/path?q", "proxy.example"),
        ("/to?url=http://other.example/", "/to?url=http://other.example/", "proxy.example"),
        ("*", "*", "proxy.example"),
        ("http://other.example/path?q=/%2F", "/path?q=/%2F", "other.example"),
        ("https://other.example:8443", "/", "other.example:8443"),
        ("http://other.example//twice", "//twice", "other.example"),
        ("http://other.example?q=a/b", "/?q=a/b", "other.example"),
    ],
)
def test_the_host_of_an_absolute_url_counts_and_its_path_travels(target: str, origin: str, host: str) -> None:
    head = RequestHead("GET", target, Headers([("X-A", "1"), ("hOsT", "proxy.example")]), None)

    changed = in_origin_form(head)

    assert changed == RequestHead("GET", origin, Headers([("X-A", "1"), ("hOsT", host)]), None)


@pytest.mark.parametrize("name", [*FORGED, "Content-Length", "Authorization"])
def test_trailers_travel_on_but_for_what_a_client_must_not_say(name: str) -> None:
    trailers = Headers([("Sum", "1"), (name, "x"), (name.replace("-", "_").lower(), "x")])

    assert list(forwarded_trailers(trailers)) == [("Sum", "1")]
