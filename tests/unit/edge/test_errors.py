"""`edge.errors`: each failure has its row, and each answer says who failed without saying too much."""

import json
from collections.abc import Iterator

import pytest

from broker.errors import (
    BackendOffline,
    BrokenAnswer,
    BrokerError,
    ClaimedElsewhere,
    ConflictingBytes,
    DuplicateRequest,
    FixedBackend,
    NoAnswer,
    NotAllowed,
    Overloaded,
    StoreUnavailable,
    TooManyRequests,
    UnknownBackend,
    UnknownRequest,
)
from edge.errors import FAILURES, INTERNAL, Refusal, choose_form, describe, method_not_allowed, render
from wire.errors import MalformedMessage, MessageTooLarge, WireError
from wire.protocol import ERROR, TRACE_ID


def leaves(root: type[Exception]) -> Iterator[type[Exception]]:
    """The classes of a tree that have no subclass beside them; an adapter's own kinds of them count as their bases."""
    children = [child for child in root.__subclasses__() if child.__module__ == root.__module__]
    if not children:
        yield root
    for child in children:
        yield from leaves(child)


@pytest.mark.parametrize("kind", [*leaves(BrokerError), *leaves(WireError)])
def test_every_error_of_the_core_has_a_row(kind: type[Exception]) -> None:
    assert kind in FAILURES


def test_the_table_has_no_row_without_an_error() -> None:
    assert set(FAILURES) == {*leaves(BrokerError), *leaves(WireError)}


@pytest.mark.parametrize(
    ("exc", "status", "reason", "party"),
    [
        (UnknownBackend("x"), 404, "no-backend", "proxy"),
        (UnknownRequest("x"), 404, "unknown-request", "agent"),
        (DuplicateRequest("x"), 503, "duplicate-request", "proxy"),
        (NotAllowed("x", authenticated=False), 401, "not-authenticated", "client"),
        (NotAllowed("x", authenticated=True), 403, "not-allowed", "client"),
        (BackendOffline("x"), 503, "no-agent", "agent"),
        (Overloaded("x"), 503, "overloaded", "proxy"),
        (TooManyRequests("x"), 429, "too-many-requests", "client"),
        (FixedBackend("x"), 409, "fixed-backend", "client"),
        (ClaimedElsewhere("x"), 409, "claimed-elsewhere", "agent"),
        (ConflictingBytes("x"), 409, "conflicting-bytes", "agent"),
        (BrokenAnswer("x"), 502, "broken-answer", "backend"),
        (BrokenAnswer("x", reason="backend-broke"), 502, "backend-broke", "backend"),
        (BrokenAnswer("x", reason="agent-lost"), 502, "agent-lost", "agent"),
        (BrokenAnswer("x", reason="empty-answer"), 502, "empty-answer", "agent"),
        (NoAnswer("x"), 504, "timeout", "backend"),
        (StoreUnavailable("x"), 503, "store-unavailable", "proxy"),
        (MalformedMessage("x"), 400, "malformed-request", "client"),
        (MessageTooLarge("x"), 413, "too-large", "client"),
        (MessageTooLarge("x", status_hint=431), 431, "too-large", "client"),
        (RuntimeError("x"), 500, "internal-error", "proxy"),
    ],
)
def test_an_error_is_told_by_status_reason_and_party(exc: Exception, status: int, reason: str, party: str) -> None:
    failure = describe(exc)
    assert (failure.status, failure.reason, failure.party) == (status, reason, party)


@pytest.mark.parametrize("kind", [Overloaded, TooManyRequests])
def test_who_is_refused_is_told_when_to_come_again(kind: type[Overloaded] | type[TooManyRequests]) -> None:
    assert ("Retry-After", "17") in describe(kind("x", retry_after=17)).headers


@pytest.mark.parametrize("exc", [BackendOffline("x"), Overloaded("x"), StoreUnavailable("x"), DuplicateRequest("x")])
def test_what_passes_by_itself_says_when_to_try_again(exc: Exception) -> None:
    assert [name for name, _ in describe(exc).headers] == ["Retry-After"]


def test_who_is_not_known_is_asked_for_a_bearer_token() -> None:
    assert describe(NotAllowed("", authenticated=False)).headers == (("WWW-Authenticate", "Bearer"),)


def test_who_could_show_nothing_is_not_asked_for_it() -> None:
    failure = describe(NotAllowed("X-User: missing", authenticated=False, challenged=False))

    assert (failure.status, failure.reason, failure.headers) == (403, "not-authenticated", ())
    assert failure.details == ("X-User: missing",)


def test_a_subclass_is_told_like_its_parent() -> None:
    class Narrower(StoreUnavailable):
        pass

    assert describe(Narrower()) == FAILURES[StoreUnavailable]


def test_the_user_of_an_agent_that_is_gone_is_told_to_wait_for_another() -> None:
    failure = describe(BrokenAnswer("x", reason="agent-lost"))

    assert failure.text.startswith("The agent that had this request has gone before it answered")
    assert failure.details == ()


def test_an_agents_own_reason_has_the_text_of_every_broken_answer() -> None:
    assert describe(BrokenAnswer("x", reason="backend-broke")).text == FAILURES[BrokenAnswer].text


def test_the_limit_that_was_exceeded_is_shown() -> None:
    assert describe(MessageTooLarge("over the limit of 5 bytes")).details == ("over the limit of 5 bytes",)


@pytest.mark.parametrize("exc", [StoreUnavailable("secret"), BackendOffline("secret"), RuntimeError("secret")])
def test_what_is_not_the_callers_business_is_not_shown(exc: Exception) -> None:
    _, headers, body = render(describe(exc), form="json", trace="")
    assert b"secret" not in body
    assert not any("secret" in value for _, value in headers)


def test_a_refusal_carries_its_own_failure() -> None:
    failure = method_not_allowed("GET", "HEAD")
    assert describe(Refusal(failure)) == failure
    assert failure.headers == (("Allow", "GET, HEAD"),)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, "text"),
        ("", "text"),
        ("*/*", "text"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "html"),
        ("TEXT/HTML", "html"),
        ("application/json", "json"),
        ("application/json;q=0.5, text/html;q=0.4", "json"),
        ("text/html;q=oops, text/plain;q=0.1", "text"),
        ("text/html;level=1;q=0.3", "html"),
    ],
)
def test_the_form_follows_accept(accept: str | None, form: str) -> None:
    assert choose_form(accept) == form


def test_every_answer_names_its_reason_and_its_trace_and_is_not_kept() -> None:
    status, headers, _ = render(INTERNAL, form="text", trace="abcd1234")
    assert status == 500
    assert headers.get(ERROR) == "internal-error"
    assert headers.get(TRACE_ID) == "abcd1234"
    assert headers.get("Cache-Control") == "no-store"


def test_without_a_trace_none_is_named() -> None:
    _, headers, body = render(INTERNAL, form="text", trace="")
    assert TRACE_ID not in headers
    assert body.endswith(b"(internal-error)\n")


def test_plain_text_is_a_title_the_details_and_the_reason() -> None:
    _, headers, body = render(describe(MessageTooLarge("over 5 bytes")), form="text", trace="abcd1234")
    assert headers.get("Content-Type") == "text/plain; charset=utf-8"
    assert body.decode() == (
        "413 Content Too Large: The client sent a request that is longer than the proxy takes: make it "
        "smaller.\n  over 5 bytes\n(too-large, trace abcd1234)\n"
    )


def test_a_page_escapes_what_it_shows() -> None:
    _, headers, body = render(describe(MalformedMessage("<script>")), form="html", trace="a<b")
    assert headers.get("Content-Type") == "text/html; charset=utf-8"
    assert b"<script>" not in body
    assert b"&lt;script&gt;" in body
    assert b"a&lt;b" in body


def test_json_has_every_field() -> None:
    _, _, body = render(describe(NoAnswer("too slow")), form="json", trace="abcd1234")
    error = json.loads(body)["error"]
    assert error.pop("message").startswith("The time for this request is over")
    assert error == {
        "status": 504,
        "reason": "timeout",
        "failed": "backend",
        "details": ["too slow"],
        "trace": "abcd1234",
    }
