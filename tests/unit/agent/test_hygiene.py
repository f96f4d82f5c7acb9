"""The header fields that pass between proxy and backend."""

import pytest

from agent.hygiene import ForwardedHeaders, RequestRules, clean_request, clean_response, with_host
from agent.messages import Request, Response, whole_body
from wire.headers import Headers
from wire.http1 import RequestHead, ResponseHead
from wire.protocol import RequestId

Fields = list[tuple[str, str]]

FORGED: Fields = [
    ("X-Forwarded-For", "6.6.6.6"),
    ("x_forwarded_proto", "https"),
    ("X-Forwarded-User", "root"),
    ("Forwarded", "for=6.6.6.6"),
]


def cleaned(*fields: tuple[str, str], rules: RequestRules, user_id: str = "", is_set: bool = False) -> Fields:
    head = RequestHead("GET", "/", Headers([("Host", "h:81"), *fields]), None)
    request = Request(RequestId("id"), user_id, head, b"", is_forwarded_set=is_set)
    return list(clean_request(request, rules).head.headers)


AUTO = RequestRules(users_scheme="http")


def test_what_a_proxy_of_ours_has_set_passes() -> None:
    assert cleaned(*FORGED, rules=AUTO, is_set=True) == [("Host", "h:81"), *FORGED]


def test_what_a_client_says_of_itself_does_not_pass_from_another_proxy_and_what_is_known_is_set() -> None:
    known = [("X-Forwarded-Proto", "http"), ("X-Forwarded-Host", "h:81")]
    assert cleaned(*FORGED, rules=AUTO) == [("Host", "h:81"), *known]


@pytest.mark.parametrize("is_set", [False, True])
@pytest.mark.parametrize(("choice", "passing"), [("keep", FORGED), ("drop", [])])
def test_an_operator_may_know_better(choice: ForwardedHeaders, passing: Fields, is_set: bool) -> None:
    rules = RequestRules(forwarded_headers=choice)
    assert cleaned(*FORGED, rules=rules, is_set=is_set) == [("Host", "h:81"), *passing]


def test_added_fields_take_the_place_of_a_clients_own_in_any_spelling() -> None:
    rules = RequestRules(added=(("X-Env", "prod"), ("X-List", "1"), ("X-List", "2")), forwarded_headers="drop")
    made = cleaned(("x-env", "forged"), ("X_Env", "forged"), ("X-LIST", "forged"), ("X-Other", "1"), rules=rules)
    assert made == [("Host", "h:81"), ("X-Other", "1"), ("X-Env", "prod"), ("X-List", "1"), ("X-List", "2")]


def test_an_added_credential_survives_the_stripping_of_the_clients_and_what_connection_names() -> None:
    rules = RequestRules(strips_credentials=True, added=(("Authorization", "Basic ours"),), forwarded_headers="drop")
    made = cleaned(("Authorization", "Bearer theirs"), ("Connection", "Authorization"), rules=rules)
    assert made == [("Host", "h:81"), ("Authorization", "Basic ours")]


def test_the_user_comes_last_and_cannot_be_forged() -> None:
    rules = RequestRules(forwards_user_id=True, forwarded_headers="drop")
    forged = ("x_inverting_proxy_user_id", "root")
    connection = ("Connection", "X-Inverting-Proxy-User-ID")
    assert cleaned(forged, connection, rules=rules, user_id="ada") == [
        ("Host", "h:81"),
        ("X-Inverting-Proxy-User-ID", "ada"),
    ]
    assert cleaned(forged, rules=rules) == [("Host", "h:81")]


def test_connection_cannot_erase_what_is_set() -> None:
    connection = ("Connection", "X-Forwarded-Proto, X-Forwarded-Host")
    assert [name for name, _ in cleaned(connection, rules=AUTO)] == ["Host", "X-Forwarded-Proto", "X-Forwarded-Host"]


def test_an_answer_loses_what_is_the_hops_and_what_is_ours() -> None:
    fields = [("Connection", "x-mine"), ("X-Mine", "1"), ("X-Inverting-Proxy-Error", "x"), ("X-Kept", "1")]
    response = clean_response(Response(ResponseHead(200, Headers(fields), 0), whole_body(b"")))
    assert list(response.head.headers) == [("X-Kept", "1")]


def test_another_host_stands_where_the_clients_was() -> None:
    headers = Headers([("A", "1"), ("hOST", "theirs"), ("B", "2")])
    assert list(with_host(headers, "ours:8080")) == [("A", "1"), ("hOST", "ours:8080"), ("B", "2")]
