"""`api_service.schema`: what is a backend, and what is said of one that is none."""

import json
from datetime import timedelta

import pytest

from api_service.schema import InvalidBackend, decode_backend, encode_backend, make_backend
from broker.model import Options, Sharing
from tests.factories import a_backend
from tests.fakes.clock import NOON

VALID: dict[str, object] = {
    "id": "notebook",
    "endUser": "allUsers",
    "backendUser": "agent@example.com",
    "pathPrefixes": ["/"],
}


def problems(body: bytes) -> tuple[str, ...]:
    with pytest.raises(InvalidBackend) as caught:
        decode_backend(body)
    return caught.value.problems


def problems_with(**changes: object) -> list[str]:
    """The fields that are complained of."""
    return [problem.partition(":")[0] for problem in problems(json.dumps(VALID | changes).encode())]


def test_a_backend_is_read_and_written_with_the_names_of_the_original() -> None:
    backend = decode_backend(json.dumps(VALID).encode())

    assert backend == a_backend()
    assert encode_backend(backend, NOON + timedelta(microseconds=7)) == VALID | {"lastUsed": "2026-05-17T12:00:00Z"}


OURS: dict[str, object] = {
    "hosts": ["app.example.org", "*.example.net"],
    "agents": "sticky",
    "maxExchanges": 50,
    "maxQueue": 10,
    "shimPath": "websocket-shim",
}


def test_hosts_and_options_are_read_and_written_where_they_are_given() -> None:
    backend = decode_backend(json.dumps(VALID | OURS).encode())

    assert backend.hosts == ("app.example.org", "*.example.net")
    assert backend.options == Options(agents=Sharing.STICKY, max_exchanges=50, max_queue=10, shim_path="websocket-shim")
    assert encode_backend(backend, NOON) == VALID | OURS | {"lastUsed": "2026-05-17T12:00:00Z"}


def test_hosts_and_the_shims_path_are_registered_as_they_are_compared() -> None:
    backend = decode_backend(json.dumps(VALID | {"hosts": ["*.Example.ORG."], "shimPath": "/a/b/"}).encode())

    assert (backend.hosts, backend.options.shim_path) == (("*.example.org",), "a/b")


@pytest.mark.parametrize(
    ("field", "wrong", "wanted"),
    [
        (
            "hosts",
            ["a.org:80"],
            "hosts: must be a list of up to 100 names of hosts as browsers send them, without ports",
        ),
        ("agents", "all", "agents: must be one of pull, standby, sticky"),
        ("maxQueue", 0, "maxQueue: must be a whole number from 1 to 1000000"),
        ("shimPath", "..", "shimPath: must be the --shim-path of its agents, like websocket-shim"),
    ],
)
def test_a_wrong_option_is_named_with_what_it_must_be(field: str, wrong: object, wanted: str) -> None:
    assert problems(json.dumps(VALID | {field: wrong}).encode())[0].startswith(wanted)


def test_where_there_are_no_options_each_is_refused_by_name_and_hosts_are_not() -> None:
    with pytest.raises(InvalidBackend) as caught:
        decode_backend(json.dumps(VALID | OURS).encode(), has_options=False)

    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "agents",
        "maxExchanges",
        "maxQueue",
        "shimPath",
    ]


def test_the_caller_may_know_the_fields_by_other_names() -> None:
    with pytest.raises(InvalidBackend) as caught:
        make_backend({"id": "a", "endUser": "x", "more": 1}, spell=str.upper)

    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "ENDUSER",
        "BACKENDUSER",
        "'MORE'",
    ]


def test_a_backend_that_was_never_used_says_so_as_the_original_does() -> None:
    assert encode_backend(a_backend(), None)["lastUsed"] == "1970-01-01T00:00:00Z"


def test_last_used_is_for_reading_only() -> None:
    assert decode_backend(json.dumps(VALID | {"lastUsed": "never"}).encode()) == a_backend()


def test_every_missing_field_is_named() -> None:
    assert problems(b"{}") == ("id: missing", "endUser: missing", "backendUser: missing")


def test_without_prefixes_a_backend_serves_all_paths() -> None:
    body = json.dumps({name: value for name, value in VALID.items() if name != "pathPrefixes"}).encode()

    assert decode_backend(body).path_prefixes == ("/",)


def test_unknown_fields_are_named_as_they_are_written_and_cut() -> None:
    assert problems_with(endUsers="x") == ["'endUsers'"]
    assert len(problems(json.dumps(VALID | {"x" * 1000: 1}).encode())[0]) < 120


@pytest.mark.parametrize("wrong", ["", "a b", "a/b", ".", "..", "-x", "x" * 257, "caf\xe9", 7, None, ["x"], "a\n"])
def test_an_id_that_could_not_be_addressed_is_refused(wrong: object) -> None:
    assert problems_with(id=wrong) == ["id"]


@pytest.mark.parametrize("wrong", ["", "user", "@", "@x@y", "@a b", "x@", "a@b@c", "a b@c", "allusers", 7, None])
def test_an_end_user_is_an_address_or_all_users(wrong: object) -> None:
    assert problems_with(endUser=wrong) == ["endUser"]


def test_an_end_user_may_be_a_whole_domain() -> None:
    assert decode_backend(json.dumps(VALID | {"endUser": "@Example.com"}).encode()).end_user == "@example.com"


def test_addresses_are_registered_in_lower_case_and_the_word_for_all_users_as_it_is() -> None:
    backend = decode_backend(json.dumps(VALID | {"endUser": "Ada@Example.com", "backendUser": "Agent@X.org"}).encode())

    assert (backend.end_user, backend.backend_user) == ("ada@example.com", "agent@x.org")
    assert decode_backend(json.dumps(VALID).encode()).end_user == "allUsers"


@pytest.mark.parametrize("wrong", ["", "allUsers", "a b", "-x", None, {}])
def test_a_backend_user_is_an_account(wrong: object) -> None:
    assert problems_with(backendUser=wrong) == ["backendUser"]


@pytest.mark.parametrize(
    "wrong",
    ["/", [], [""], ["x"], ["/", 1], None, ["/a?b"], ["/a#b"], ["/a b"], ["/../x"], ["/."], ["/" * 1001], ["/"] * 101],
)
def test_prefixes_are_paths_as_they_stand_in_urls(wrong: object) -> None:
    assert problems_with(pathPrefixes=wrong) == ["pathPrefixes"]


@pytest.mark.parametrize("right", [["/"], ["/a", "/b/"], ["/a%20b"], ["/a.b/..c"]])
def test_prefixes_are_kept_as_they_are(right: list[str]) -> None:
    assert decode_backend(json.dumps(VALID | {"pathPrefixes": right}).encode()).path_prefixes == tuple(right)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "not JSON"),
        (b"id=x", "not JSON"),
        (b"\xff\xfe\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"id": "a", "id": "b"}', "repeated: id"),
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes, problem: str) -> None:
    assert problem in problems(body)[0]
