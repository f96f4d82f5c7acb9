"""Tokens that run out."""

import base64
import contextlib
import json
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.identity.errors import CredentialsError, UnusableCredentials
from agent.identity.tokens import KeptToken, ShownToken, Token, jwt_claims, jwt_token
from tests.timing import SECOND, wait_until


class Source:
    """Numbers its tokens; the clock is its own."""

    def __init__(self, life: float = 3600) -> None:
        self.seconds = 1000.0
        self.life = life
        self.fetched = 0
        self.error: Exception | None = None
        self.proceed = threading.Event()
        self.proceed.set()

    def now(self) -> float:
        return self.seconds

    def fetch(self) -> Token:
        assert self.proceed.wait(20 * SECOND)
        self.fetched += 1
        if self.error is not None:
            raise self.error
        return Token(f"token-{self.fetched}", self.life)

    def kept(self) -> KeptToken:
        return KeptToken(self.fetch, name="access token", now=self.now, jitter=lambda: 1.0)


def settled(token: KeptToken) -> None:
    wait_until(lambda: not token._is_fetching, within=10 * SECOND, what="the fetch over")


def test_a_token_is_fetched_once_while_it_is_good() -> None:
    source = Source()
    token = source.kept()
    assert [token.text() for _ in range(3)] == ["token-1"] * 3
    source.seconds += 3299
    assert (token.text(), source.fetched) == ("token-1", 1)


@pytest.mark.parametrize(("life", "renewed_after"), [(3600, 3300), (1000, 800), (10, 8)])
def test_it_is_renewed_before_it_ends_and_nobody_waits_for_that(life: float, renewed_after: float) -> None:
    source = Source(life)
    token = source.kept()
    token.text()
    source.proceed.clear()
    source.seconds += renewed_after
    # The source hangs: what is asked for now is the old one.
    assert [token.text(), token.text()] == ["token-1", "token-1"]
    source.proceed.set()
    settled(token)
    assert (token.text(), source.fetched) == ("token-2", 2)


def test_one_that_has_run_out_is_never_shown() -> None:
    source = Source()
    token = source.kept()
    token.text()
    source.seconds += 3600
    assert token.text() == "token-2"


def test_a_failed_renewal_leaves_the_old_one_and_is_repeated_with_pauses(caplog: pytest.LogCaptureFixture) -> None:
    source = Source()
    token = source.kept()
    token.text()
    source.error = CredentialsError("the reason")
    source.seconds += 3300
    for seconds, fetched in ((0, 2), (0.5, 2), (0.5, 3), (1, 3), (1, 4)):
        source.seconds += seconds
        assert token.text() == "token-1"
        settled(token)
        assert source.fetched == fetched
    assert "the reason" in caplog.text


def test_a_failure_is_remembered_for_the_pause() -> None:
    source = Source()
    source.error = CredentialsError("the reason")
    token = source.kept()
    for _ in range(3):
        with pytest.raises(CredentialsError, match="the reason"):
            token.text()
    source.seconds += 1
    source.error = None
    assert (token.text(), source.fetched) == ("token-2", 2)


def test_what_cannot_work_is_told_apart() -> None:
    source = Source()
    source.error = UnusableCredentials("for ever")
    with pytest.raises(UnusableCredentials):
        source.kept().text()


def test_an_unexpected_error_is_not_quoted(caplog: pytest.LogCaptureFixture) -> None:
    source = Source()
    source.error = RuntimeError("SECRET")
    with pytest.raises(CredentialsError, match="RuntimeError") as caught:
        source.kept().text()
    assert "SECRET" not in caplog.text + str(caught.value)


def test_a_refused_token_is_replaced_but_not_when_it_is_new() -> None:
    source = Source()
    token = source.kept()
    token.text()
    token.refuse()
    first = token.text()
    source.seconds += 10
    token.refuse()
    assert (first, token.text(), source.fetched) == ("token-1", "token-2", 2)


def test_a_refused_token_serves_on_when_there_is_no_other() -> None:
    source = Source()
    token = source.kept()
    token.text()
    source.seconds += 10
    source.error = CredentialsError("down")
    token.refuse()
    assert (token.text(), source.fetched) == ("token-1", 2)


def test_many_threads_make_one_fetch() -> None:
    source = Source()
    source.proceed.clear()
    token = source.kept()
    texts: list[str] = []
    threads = [threading.Thread(target=lambda: texts.append(token.text())) for _ in range(8)]
    for thread in threads:
        thread.start()
    source.proceed.set()
    for thread in threads:
        thread.join(10 * SECOND)
    assert (texts, source.fetched) == (["token-1"] * 8, 1)


def test_it_is_shown_in_its_field() -> None:
    source = Source()
    shown = ShownToken(source.kept(), field="Proxy-Authorization")
    assert list(shown.fields()) == [("Proxy-Authorization", "Bearer token-1")]


def test_a_token_is_not_shown_by_accident() -> None:
    assert "SECRET" not in repr(Token("SECRET", 1.0))


def a_jwt(claims: object) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c2ln"


@pytest.mark.parametrize(
    ("wall_time", "life"),
    [(1000.0, 3600.0), (4000.0, 600.0), (0.0, 3600.0), (9999999.0, 3600.0)],
)
def test_a_tokens_life_is_what_is_left_of_it_unless_the_clock_is_wrong(wall_time: float, life: float) -> None:
    text = a_jwt({"iat": 1000, "exp": 4600})
    assert jwt_token(text, wall_time=wall_time) == Token(text, life)


@pytest.mark.parametrize(
    "text",
    ["", "a", "a.b", "a.b.c", a_jwt([]), a_jwt({}), a_jwt({"iat": "1", "exp": 2}), a_jwt({"iat": 1, "exp": 2}) + " "],
)
def test_what_is_no_token_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        jwt_token(text, wall_time=0.0)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    read: Callable[[str], object] = jwt_claims
    for each in (text, f"e30.{text}.c2ln"):
        with contextlib.suppress(ValueError):
            assert isinstance(read(each), dict)
