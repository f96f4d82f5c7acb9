"""`standalone.identity.sign_in`: what goes out to the provider, and what must come back."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import count
from urllib.parse import parse_qs, urlsplit

import pytest

from broker.errors import NotAllowed
from standalone.identity.sessions import Session, seal_session
from standalone.identity.sign_in import (
    LIVES,
    Answered,
    SignIn,
    authorization_url,
    begin_sign_in,
    challenge_of,
    is_answer_to,
    mark_of,
    seal_sign_in,
    unseal_sign_in,
    user_of,
)
from tests.fakes.clock import NOON

KEYS = (b"k" * 32,)
ORIGIN = "https://proxy.example.org"


def begun(target: str = "/page?x=1") -> SignIn:
    numbers = count(1)
    return begin_sign_in(target, ORIGIN, now=NOON, new_word=lambda: f"word{next(numbers)}")


def test_each_attempt_has_words_of_its_own() -> None:
    sign_in = begun()

    assert len({sign_in.state, sign_in.nonce, sign_in.verifier}) == 3
    assert sign_in.target == "/page?x=1"


def test_only_pages_of_this_proxy_are_gone_back_to() -> None:
    assert begun("//evil.org").target == "/"


def test_an_attempt_comes_back_from_its_cookie() -> None:
    assert unseal_sign_in(seal_sign_in(begun(), KEYS), KEYS) == begun()
    assert unseal_sign_in(seal_sign_in(begun(), KEYS), (b"x" * 32,)) is None


def test_a_session_is_no_attempt() -> None:
    session = Session(user="ada", session_id="s", host="h", began=NOON, seen=NOON)

    assert unseal_sign_in(seal_session(session, KEYS), KEYS) is None


def test_the_provider_is_asked_with_all_that_protects_a_code() -> None:
    url = authorization_url(
        "https://id.example.org/auth?tenant=7",
        begun(),
        client_id="client",
        redirect_uri=f"{ORIGIN}/back",
        scopes="openid email",
    )

    assert urlsplit(url)[:3] == ("https", "id.example.org", "/auth")
    assert parse_qs(urlsplit(url).query) == {
        "tenant": ["7"],
        "response_type": ["code"],
        "client_id": ["client"],
        "redirect_uri": [f"{ORIGIN}/back"],
        "scope": ["openid email"],
        "state": ["word1"],
        "nonce": ["word2"],
        "code_challenge": [challenge_of("word3")],
        "code_challenge_method": ["S256"],
    }


def test_the_challenge_is_that_of_the_standard() -> None:
    # RFC 7636 appendix B
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"state": "word2"}, False),
        ({"state": ""}, False),
        ({"state": "\udcff"}, False),
        ({"origin": "https://other.example.org"}, False),
        ({"now": NOON + LIVES}, False),
        ({"now": NOON - timedelta(hours=1)}, False),
    ],
)
def test_an_answer_has_to_fit_its_attempt(changes: Mapping[str, object], expected: bool) -> None:
    given = {"state": "word1", "origin": ORIGIN, "now": NOON + timedelta(minutes=1)} | dict(changes)

    assert is_answer_to(begun(), **given) is expected  # type: ignore[arg-type]


def test_the_attempts_of_several_tabs_have_marks_of_their_own() -> None:
    assert (mark_of("a") == mark_of("a"), mark_of("a") == mark_of("b"), len(mark_of("\udcff"))) == (True, False, 16)


@pytest.mark.parametrize(
    ("claims", "user"),
    [
        ({"sub": "1", "email": "Ada@Example.org", "email_verified": True}, "ada@example.org"),
        ({"sub": "google|1"}, "google|1"),
        ({"sub": "Ada"}, "Ada"),
        ({"sub": "1", "email": ""}, "1"),
    ],
)
def test_a_user_is_the_address_or_the_subject(claims: dict[str, object], user: str) -> None:
    assert user_of(claims, trusts_addresses=False) == user


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "1", "email": "ada@example.org"},
        {"sub": "1", "email": "ada@example.org", "email_verified": False},
        {"sub": "1", "email": "ada@example.org", "email_verified": "true"},
        {"sub": "ada@example.org"},
        {"sub": "1", "email": "@example.org", "email_verified": True},
        {"sub": "1", "email": "allUsers", "email_verified": True},
        {"sub": "allUsers"},
        {"sub": "@example.org"},
        {"sub": 7},
        {},
    ],
)
def test_nobody_can_choose_to_be_somebody_else(claims: dict[str, object]) -> None:
    with pytest.raises(NotAllowed) as caught:
        user_of(claims, trusts_addresses=False)
    assert caught.value.authenticated


def test_a_provider_may_be_trusted_with_addresses() -> None:
    assert user_of({"sub": "1", "email": "ada@example.org"}, trusts_addresses=True) == "ada@example.org"


def test_a_state_is_answered_once() -> None:
    answered = Answered()

    assert [answered.take("s", now=NOON), answered.take("s", now=NOON), answered.take("t", now=NOON)] == [
        True,
        False,
        True,
    ]


def test_states_are_remembered_for_as_long_as_they_could_be_answered() -> None:
    answered = Answered(capacity=2)
    answered.take("a", now=NOON)
    assert not answered.take("a", now=NOON + LIVES)
    for state in "bc":
        answered.take(state, now=NOON + LIVES * 2)

    sign_in = replace(begun(), state="a")
    assert sign_in.is_over(now=NOON + LIVES * 2)
    assert not answered.take("c", now=NOON + LIVES * 2)
