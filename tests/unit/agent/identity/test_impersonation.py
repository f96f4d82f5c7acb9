"""A service account that another account may be for a while."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from agent.identity.accounts import SCOPES
from agent.identity.errors import CredentialsError, UnusableCredentials
from agent.identity.impersonation import ImpersonatedAccount, impersonated_by_url
from agent.identity.tokens import Token

ROBOT = "robot@project.iam.gserviceaccount.com"
URL = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{ROBOT}"


class Person:
    """The account that asks."""

    description = "a person"

    def __init__(self) -> None:
        self.scopes: list[Sequence[str]] = []

    def access_token(self, scopes: Sequence[str]) -> Token:
        self.scopes.append(scopes)
        return Token("token-of-the-person", 3600.0)

    def id_token(self, audience: str) -> Token:
        raise AssertionError(audience)


class Iam:
    """Gives one answer, and notes what it was asked; 1970 is ten seconds old."""

    def __init__(self, answer: object, status: int = 200) -> None:
        self.answer = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.status = status
        self.asked: list[tuple[str, Mapping[str, object], str]] = []

    def wall_clock(self) -> float:
        return 10.0

    def post_json(self, url: str, body: Mapping[str, object], *, token: str, whose: str) -> tuple[int, bytes]:
        self.asked.append((url, body, token))
        return self.status, self.answer


def an_account(iam: Iam, **further: Any) -> ImpersonatedAccount:
    return ImpersonatedAccount(ROBOT, source=Person(), calls=iam, **further)  # type: ignore[arg-type]


def a_jwt(end: int) -> str:
    parts = [{"alg": "RS256"}, {"iat": 10, "exp": end}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])


def test_an_access_token_is_asked_for_with_the_others_token() -> None:
    iam, person = Iam({"accessToken": "a-token", "expireTime": "1970-01-01T01:00:10Z"}), Person()
    account = ImpersonatedAccount(ROBOT, source=person, calls=iam, delegates=["between@x"])  # type: ignore[arg-type]
    assert account.access_token(["a-scope"]) == Token("a-token", 3600.0)
    body = {"scope": ["a-scope"], "lifetime": "3600s", "delegates": ["projects/-/serviceAccounts/between@x"]}
    assert iam.asked == [(f"{URL}:generateAccessToken", body, "token-of-the-person")]
    assert person.scopes == [SCOPES]


def test_an_id_token_is_for_the_audience_and_says_whose_it_is() -> None:
    iam = Iam({"token": a_jwt(3610)})
    assert an_account(iam).id_token("an-audience").life == 3600.0
    body = {"audience": "an-audience", "includeEmail": True, "delegates": []}
    assert iam.asked == [(f"{URL}:generateIdToken", body, "token-of-the-person")]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_who_may_not_is_told_which_role_it_takes(status: int) -> None:
    with pytest.raises(UnusableCredentials, match="serviceAccountTokenCreator"):
        an_account(Iam({}, status)).access_token(SCOPES)


@pytest.mark.parametrize("status", [302, 429, 500, 503])
def test_other_failures_may_pass(status: int) -> None:
    with pytest.raises(CredentialsError, match=f"status {status}") as caught:
        an_account(Iam({}, status)).access_token(SCOPES)
    assert not isinstance(caught.value, UnusableCredentials)


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>", [], {},
        {"accessToken": "a-token"},
        {"accessToken": "a token", "expireTime": "1970-01-01T01:00:10Z"},
        {"accessToken": "a-token", "expireTime": "soon"},
    ],
)  # fmt: skip
def test_an_answer_without_a_token_is_an_error_that_does_not_repeat_it(answer: object) -> None:
    with pytest.raises(CredentialsError) as caught:
        an_account(Iam(answer)).access_token(SCOPES)
    assert "a-token" not in str(caught.value)


@pytest.mark.parametrize("answer", [{}, {"token": "no-jwt"}, {"token": 1}])
def test_what_is_no_id_token_is_an_error(answer: object) -> None:
    with pytest.raises(CredentialsError, match="no ID token"):
        an_account(Iam(answer)).id_token("x")


def test_a_url_names_the_account_and_where_iam_is() -> None:
    iam = Iam({"accessToken": "a-token", "expireTime": "1970-01-01T01:00:10Z"})
    url = f"https://iam.example/v1/projects/-/serviceAccounts/{ROBOT}:generateAccessToken"
    delegates = ["projects/-/serviceAccounts/between@x"]
    account = impersonated_by_url(url, source=Person(), calls=iam, delegates=delegates)  # type: ignore[arg-type]
    account.access_token(SCOPES)
    [(asked, body, _)] = iam.asked
    assert (asked, body["delegates"], ROBOT in account.description) == (url, delegates, True)


@pytest.mark.parametrize(
    "url", ["", "https://x/", URL, f"{URL}:generateIdToken", URL.replace(ROBOT, ":generateAccessToken")]
)
def test_any_other_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="service account"):
        impersonated_by_url(url, source=Person(), calls=Iam({}))  # type: ignore[arg-type]
