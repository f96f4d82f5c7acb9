"""`standalone.identity.portal`: whom it admits, whom it leads away, and what it refuses."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from broker.errors import NotAllowed
from edge.errors import Refusal
from tests.unit.standalone.identity.lobby import HOST, NAVIGATION, ORIGIN, Lobby, Visitor
from tests.unit.standalone.identity.signer import ISSUER

SESSION = "__Host-inverting-proxy-session"


def run(scenario: Callable[[Visitor], Awaitable[None]], **rules: object) -> None:
    async def within() -> None:
        await scenario(Visitor(Lobby(**rules)))

    asyncio.run(within())


async def refusal(asking: Awaitable[object]) -> tuple[int, str]:
    with pytest.raises(Refusal) as caught:
        await asking
    return caught.value.failure.status, caught.value.failure.reason


def test_a_stranger_who_opens_a_page_is_led_to_the_provider() -> None:
    async def scenario(visitor: Visitor) -> None:
        answer = await visitor.open("/page")
        assert (answer.guest, answer.status) == (None, 302)
        assert answer.location.startswith(f"{ISSUER}/auth?")

    run(scenario)


def test_a_stranger_is_told_so_where_no_page_is_opened() -> None:
    async def scenario(visitor: Visitor) -> None:
        assert await refusal(visitor.send("GET", "/api")) == (401, "not-signed-in")
        assert await refusal(visitor.send("POST", "/page", *NAVIGATION)) == (401, "not-signed-in")
        assert visitor.cookies == {}

    run(scenario)


def test_somebody_who_is_signed_in_comes_in() -> None:
    async def scenario(visitor: Visitor) -> None:
        await visitor.sign_in()
        answer = await visitor.send("GET", "/api")
        assert answer.guest and (answer.guest.user, answer.guest.head) == ("ada@example.org", answer.call.head)

    run(scenario)


def test_he_stays_while_he_comes_often_enough_and_not_for_ever() -> None:
    async def scenario(visitor: Visitor) -> None:
        await visitor.sign_in()
        for _ in range(14):
            visitor.lobby.clock.advance(timedelta(minutes=50))
            assert (await visitor.send("GET", "/api")).guest
        visitor.lobby.clock.advance(timedelta(minutes=50))
        assert await refusal(visitor.send("GET", "/api")) == (401, "not-signed-in")

    run(scenario)


def test_he_is_out_when_he_has_not_come_for_long() -> None:
    async def scenario(visitor: Visitor) -> None:
        await visitor.sign_in()
        visitor.lobby.clock.advance(timedelta(hours=1))
        assert await refusal(visitor.send("GET", "/api")) == (401, "not-signed-in")

    run(scenario)


def test_his_cookie_is_not_written_with_every_answer() -> None:
    async def scenario(visitor: Visitor) -> None:
        await visitor.sign_in()
        assert (await visitor.send("GET", "/api")).call.fields == []
        visitor.lobby.clock.advance(timedelta(minutes=6))
        assert [name for name, _ in (await visitor.send("GET", "/api")).call.fields] == ["Set-Cookie"]

    run(scenario)


def test_whom_the_settings_name_no_more_is_out() -> None:
    async def scenario(visitor: Visitor) -> None:
        await visitor.sign_in()
        narrower = Visitor(Lobby(allowed=frozenset({"grace@example.org"})))
        narrower.cookies = visitor.cookies
        assert await refusal(narrower.send("GET", "/api")) == (401, "not-signed-in")

    run(scenario)


def test_a_session_of_one_host_is_nothing_at_another() -> None:
    async def scenario(visitor: Visitor) -> None:
        await visitor.sign_in()
        visitor.host = "b.example.org"
        assert await refusal(visitor.send("GET", "/api")) == (401, "not-signed-in")

    run(scenario, origins=[ORIGIN, "https://b.example.org"])


def test_a_host_that_is_not_ours_is_misdirected() -> None:
    async def scenario(visitor: Visitor) -> None:
        visitor.host = "evil.org"
        assert await refusal(visitor.open("/page")) == (421, "unknown-host")

    run(scenario)


def test_the_host_that_counts_is_that_of_an_absolute_target() -> None:
    async def scenario(visitor: Visitor) -> None:
        assert await refusal(visitor.open("https://evil.org/page")) == (421, "unknown-host")
        asked = await visitor.begin(f"https://{HOST}/page")
        assert (await visitor.come_back(asked)).location == "/page"

    run(scenario)


def test_a_page_of_another_site_changes_nothing() -> None:
    async def scenario(visitor: Visitor) -> None:
        await visitor.sign_in()
        with pytest.raises(NotAllowed) as caught:
            await visitor.send("POST", "/api", ("Origin", "https://evil.org"))
        assert caught.value.authenticated
        assert (await visitor.send("POST", "/api", ("Origin", ORIGIN))).guest
        assert (await visitor.send("POST", "/api", ("Origin", "https://app.org"))).guest

    run(scenario, allowed_origins=frozenset({"https://app.org"}))


@pytest.mark.parametrize("target", ["/.inverting-proxy/", "/.inverting-proxy/x", "/.inverting-proxy/sign-in/"])
def test_of_what_is_ours_only_some_pages_are_there(target: str) -> None:
    async def scenario(visitor: Visitor) -> None:
        assert await refusal(visitor.open(target)) == (404, "no-such-path")

    run(scenario)


def test_a_page_takes_its_methods() -> None:
    async def scenario(visitor: Visitor) -> None:
        assert await refusal(visitor.send("POST", "/.inverting-proxy/signed-in")) == (405, "method-not-allowed")

    run(scenario)


def test_the_cookie_is_for_this_host_alone_and_out_of_reach() -> None:
    async def scenario(visitor: Visitor) -> None:
        answer = await visitor.come_back(await visitor.begin())
        (cookie,) = [value for value in answer.get_all("Set-Cookie") if value.startswith(f"{SESSION}=")]
        assert cookie.endswith("; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure")

    run(scenario)
