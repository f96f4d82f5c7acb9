"""`standalone.identity.arriving`: to the provider and back."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random
from urllib.parse import urlencode

import pytest

from broker.errors import NotAllowed
from edge.errors import Failure, Refusal
from standalone.identity.desk import BACK, SIGN_IN
from standalone.identity.throttle import BURST
from tests.unit.standalone.identity.lobby import ORIGIN, SIGNER, Lobby, Visitor
from tests.unit.standalone.identity.signer import DESCRIPTION, DISCOVERY, ISSUER, Signer
from wire.errors import MalformedMessage

SESSION = "__Host-inverting-proxy-session"


def run(scenario: Callable[[Visitor], Awaitable[None]], **rules: object) -> None:
    async def within() -> None:
        await scenario(Visitor(Lobby(**rules)))

    asyncio.run(within())


async def refusal(asking: Awaitable[object]) -> Failure:
    with pytest.raises(Refusal) as caught:
        await asking
    return caught.value.failure


def test_whoever_comes_back_goes_where_he_wanted() -> None:
    async def scenario(visitor: Visitor) -> None:
        answer = await visitor.come_back(await visitor.begin("/page?x=%2F"))
        assert (answer.status, answer.location) == (302, "/page?x=%2F")
        assert list(visitor.cookies) == [SESSION]

    run(scenario)


def test_the_way_back_may_be_as_long_as_a_cookie_holds() -> None:
    async def scenario(visitor: Visitor) -> None:
        page = f"/page?{'&'.join(f'filter-{number}=value%20{number * 7919}' for number in range(320))}"
        assert len(page) > 8000
        assert (await visitor.come_back(await visitor.begin(page))).location == page
        assert all(len(name) + len(value) <= 4096 for name, value in visitor.cookies.items())

    run(scenario)


def test_an_address_that_is_too_long_to_lead_back_to_is_told_so() -> None:
    async def scenario(visitor: Visitor) -> None:
        page = f"/{Random(1).randbytes(3000).hex()}"
        failure = await refusal(visitor.open(page))
        assert (failure.status, failure.reason, visitor.cookies) == (401, "not-signed-in", {})
        assert SIGN_IN in failure.text

    run(scenario)


def test_the_code_is_redeemed_with_the_verifier_of_this_attempt() -> None:
    async def scenario(visitor: Visitor) -> None:
        asked = await visitor.begin()
        await visitor.come_back(asked)
        ((url, form, _),) = visitor.lobby.web.posted
        assert (url, form["code"], form["redirect_uri"]) == (f"{ISSUER}/token", "code", f"{ORIGIN}{BACK}")
        assert asked["redirect_uri"] == form["redirect_uri"]
        assert len({form["code_verifier"], asked["state"], asked["nonce"], asked["code_challenge"]}) == 4

    run(scenario)


def test_an_answer_nobody_asked_for_is_none() -> None:
    async def scenario(visitor: Visitor) -> None:
        asked = await visitor.begin()
        other = Visitor(visitor.lobby)
        for failure in (
            await refusal(visitor.answer(state="word-99", code="code")),
            await refusal(visitor.answer(code="code")),
            await refusal(other.come_back(asked)),
        ):
            assert (failure.status, failure.reason) == (400, "sign-in-over")
        assert visitor.lobby.web.posted == []

    run(scenario)


def test_an_answer_that_is_late_is_none() -> None:
    async def scenario(visitor: Visitor) -> None:
        asked = await visitor.begin()
        visitor.lobby.clock.advance(timedelta(minutes=10))
        assert (await refusal(visitor.come_back(asked))).reason == "sign-in-over"

    run(scenario)


def test_an_answer_is_taken_once_whatever_cookies_come_with_it() -> None:
    async def scenario(visitor: Visitor) -> None:
        asked = await visitor.begin()
        cookies = dict(visitor.cookies)
        await visitor.come_back(asked)
        visitor.cookies = cookies
        assert (await refusal(visitor.come_back(asked))).reason == "sign-in-over"

    run(scenario)


def test_another_token_than_that_of_this_attempt_is_not_believed() -> None:
    async def scenario(visitor: Visitor) -> None:
        other, asked = await visitor.begin(), await visitor.begin()
        failure = await refusal(visitor.come_back(asked | {"nonce": other["nonce"]}))
        assert (failure.status, failure.reason, SESSION in visitor.cookies) == (502, "sign-in-failed", False)

    run(scenario)


@pytest.mark.parametrize("issuer", ["https://evil.org", ""])
def test_the_answer_of_another_provider_is_none(issuer: str) -> None:
    async def scenario(visitor: Visitor) -> None:
        asked = await visitor.begin()
        assert (await refusal(visitor.come_back(asked, iss=issuer))).reason == "sign-in-over"

    run(scenario)


def test_a_provider_that_names_itself_has_to() -> None:
    async def scenario(visitor: Visitor) -> None:
        visitor.lobby.web.served[DISCOVERY] = DESCRIPTION | {"authorization_response_iss_parameter_supported": True}
        assert (await refusal(visitor.come_back(await visitor.begin()))).reason == "sign-in-over"
        assert (await visitor.come_back(await visitor.begin(), iss=ISSUER)).status == 302

    run(scenario)


@pytest.mark.parametrize(
    ("answer", "details"),
    [
        ({"error": "access_denied"}, ("access_denied",)),
        ({"error": "x\n", "error_description": "é" * 300}, ("x\\n", "\\xe9" * 50)),
        ({}, ("no code",)),
        ({"code": ""}, ("no code",)),
    ],
)
def test_a_refusal_of_the_provider_is_told(answer: dict[str, str], details: tuple[str, ...]) -> None:
    async def scenario(visitor: Visitor) -> None:
        asked = await visitor.begin()
        failure = await refusal(visitor.answer(state=asked["state"], **answer))
        assert (failure.status, failure.reason, failure.details) == (403, "sign-in-refused", details)

    run(scenario)


def test_somebody_whom_the_settings_do_not_name_is_refused() -> None:
    async def scenario(visitor: Visitor) -> None:
        with pytest.raises(NotAllowed, match="ada@example.org is not among the users"):
            await visitor.sign_in()
        assert SESSION not in visitor.cookies

    run(scenario, allowed=frozenset({"@example.com"}))


def test_a_query_in_which_something_stands_twice_is_malformed() -> None:
    async def scenario(visitor: Visitor) -> None:
        for query in ("state=a&state=b", "&".join(f"n{number}=" for number in range(21))):
            with pytest.raises(MalformedMessage):
                await visitor.open(f"{BACK}?{query}")

    run(scenario)


@pytest.mark.parametrize(("wanted", "led"), [("/page", "/page"), ("//evil.org", "/"), ("https://evil.org", "/")])
def test_a_page_can_send_its_user_here_and_gets_him_back(wanted: str, led: str) -> None:
    async def scenario(visitor: Visitor) -> None:
        target = f"{SIGN_IN}?{urlencode({'return': wanted})}"
        assert (await visitor.come_back(await visitor.begin(target))).location == led
        assert (await visitor.open(target)).location == led

    run(scenario)


def test_while_the_provider_is_down_nobody_new_comes_in() -> None:
    async def scenario(visitor: Visitor) -> None:
        await visitor.sign_in()
        stranger = Visitor(visitor.lobby)
        asked = await stranger.begin()
        visitor.lobby.web.is_down = True
        failure = await refusal(stranger.come_back(asked))
        assert (failure.status, failure.reason, failure.headers) == (
            503,
            "sign-in-unavailable",
            (("Retry-After", "10"),),
        )
        assert (await visitor.send("GET", "/api")).guest
        never = Visitor(Lobby())
        never.lobby.web.is_down = True
        assert (await refusal(never.open("/page"))).reason == "sign-in-unavailable"

    run(scenario)


def test_a_token_that_another_has_signed_is_not_believed() -> None:
    async def scenario(visitor: Visitor) -> None:
        asked = await visitor.begin()
        forged = Signer("key").token(nonce=asked["nonce"], email="ada@example.org", email_verified=True)
        visitor.lobby.web.answer = (200, {"id_token": forged})
        assert (await refusal(visitor.answer(state=asked["state"], code="code"))).reason == "sign-in-failed"
        assert SIGNER.key.kid == "key"

    run(scenario)


def test_whoever_brings_wrong_codes_again_and_again_is_not_asked_about() -> None:
    async def scenario(visitor: Visitor) -> None:
        for _ in range(BURST):
            other = await visitor.begin()
            assert (await refusal(visitor.come_back(other | {"nonce": "x"}))).reason == "sign-in-failed"
        asked = len(visitor.lobby.web.posted)
        failure = await refusal(visitor.come_back(await visitor.begin()))
        assert (failure.status, failure.reason) == (429, "too-many-refusals")
        assert len(visitor.lobby.web.posted) == asked

    run(scenario)
