"""`standalone.identity.leaving`: who signs out, and who is not signed out."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

import pytest

from broker.errors import NotAllowed
from edge.errors import Refusal
from standalone.identity.desk import SIGN_OUT, SIGNED_OUT
from tests.unit.standalone.identity.lobby import ORIGIN, Lobby, Visitor
from tests.unit.standalone.identity.signer import DESCRIPTION, DISCOVERY, ISSUER
from wire.errors import MalformedMessage, MessageTooLarge

FORM = ("Content-Type", "application/x-www-form-urlencoded")
OURS = ("Origin", ORIGIN)


def run(scenario: Callable[[Visitor], Awaitable[None]], **rules: object) -> None:
    async def within() -> None:
        lobby = Lobby(**rules)
        lobby.web.served[DISCOVERY] = DESCRIPTION | {"end_session_endpoint": f"{ISSUER}/end"}
        await scenario(Visitor(lobby))

    asyncio.run(within())


async def token_of(visitor: Visitor) -> str:
    found = re.search(r'name="token" value="([^"]+)"', (await visitor.open(SIGN_OUT)).body)
    assert found
    return found[1]


def form(**values: str) -> bytes:
    return urlencode(values).encode()


def test_the_button_signs_out_and_leads_to_the_provider() -> None:
    async def scenario(visitor: Visitor) -> None:
        await visitor.sign_in()
        copy = dict(visitor.cookies)
        answer = await visitor.send("POST", SIGN_OUT, FORM, OURS, body=form(token=await token_of(visitor)))
        back = urlencode({"client_id": "client", "post_logout_redirect_uri": f"{ORIGIN}{SIGNED_OUT}"})
        assert (answer.status, answer.location, visitor.cookies) == (303, f"{ISSUER}/end?{back}", {})
        visitor.cookies = copy
        with pytest.raises(Refusal):
            await visitor.send("GET", "/api")

    run(scenario)


def test_the_page_says_who_is_signed_in_and_cannot_be_framed() -> None:
    async def scenario(visitor: Visitor) -> None:
        await visitor.sign_in()
        page = await visitor.open(SIGN_OUT)
        assert "You are signed in as ada@example.org." in page.body
        (policy,) = page.get_all("Content-Security-Policy")
        assert "frame-ancestors 'none'" in policy and f"form-action 'self' {ISSUER}" in policy

    run(scenario)


@pytest.mark.parametrize("rules", [{"signs_out_at_provider": False}, {}])
def test_where_the_provider_has_no_page_for_it_ours_is_the_end(rules: dict[str, bool]) -> None:
    async def scenario(visitor: Visitor) -> None:
        if not rules:
            visitor.lobby.web.served[DISCOVERY] = DESCRIPTION
        await visitor.sign_in()
        answer = await visitor.send("POST", SIGN_OUT, FORM, OURS, body=form(token=await token_of(visitor)))
        assert answer.location == SIGNED_OUT
        assert "You are signed out" in (await visitor.open(SIGNED_OUT)).body

    run(scenario, **rules)


def test_one_can_sign_out_while_the_provider_is_down() -> None:
    async def scenario(visitor: Visitor) -> None:
        await visitor.sign_in()
        token = await token_of(visitor)
        later = Visitor(Lobby())
        later.cookies, later.lobby.web.is_down = visitor.cookies, True
        assert (await later.send("POST", SIGN_OUT, FORM, OURS, body=form(token=token))).location == SIGNED_OUT

    run(scenario)


def test_what_outlives_a_request_is_told_that_its_user_has_signed_out() -> None:
    async def scenario(visitor: Visitor) -> None:
        await visitor.sign_in()
        other = Visitor(visitor.lobby)
        await other.sign_in()
        guests = [(await each.send("GET", "/ws")).guest for each in (visitor, other)]
        before = [guest.may_stay() for guest in guests if guest]
        await visitor.send("POST", SIGN_OUT, FORM, OURS, body=form(token=await token_of(visitor)))

        assert (before, [guest.may_stay() for guest in guests if guest]) == ([True, True], [False, True])

    run(scenario)


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ([FORM, OURS], b""),
        ([FORM, OURS], form(token="x")),
        ([FORM, ("Origin", "https://evil.org")], None),
        ([FORM, ("Sec-Fetch-Site", "cross-site")], None),
    ],
)
def test_another_page_signs_nobody_out(fields: list[tuple[str, str]], body: bytes | None) -> None:
    async def scenario(visitor: Visitor) -> None:
        await visitor.sign_in()
        sent = form(token=await token_of(visitor)) if body is None else body
        with pytest.raises(NotAllowed):
            await visitor.send("POST", SIGN_OUT, *fields, body=sent)
        assert (await visitor.send("GET", "/api")).guest

    run(scenario)


def test_the_token_of_another_session_is_none() -> None:
    async def scenario(visitor: Visitor) -> None:
        await visitor.sign_in()
        other = Visitor(visitor.lobby)
        await other.sign_in()
        with pytest.raises(NotAllowed):
            await visitor.send("POST", SIGN_OUT, FORM, OURS, body=form(token=await token_of(other)))

    run(scenario)


def test_a_stranger_is_signed_out_already() -> None:
    async def scenario(visitor: Visitor) -> None:
        assert "You are signed out" in (await visitor.open(SIGN_OUT)).body
        answer = await visitor.send("POST", SIGN_OUT, FORM, OURS, body=form(token="x"))
        assert (answer.status, answer.location) == (303, SIGNED_OUT)

    run(scenario)


def test_only_a_small_form_is_read() -> None:
    async def scenario(visitor: Visitor) -> None:
        await visitor.sign_in()
        with pytest.raises(MalformedMessage):
            await visitor.send("POST", SIGN_OUT, ("Content-Type", "text/plain"), OURS, body=b"token=x")
        with pytest.raises(MessageTooLarge):
            await visitor.send("POST", SIGN_OUT, FORM, OURS, body=b"x" * 10_000)

    run(scenario)
