"""`standalone.identity.issued`: accounts by the ID tokens of a provider."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta

import pytest

from broker.errors import NotAllowed, StoreUnavailable
from standalone.identity.issued import IssuedTokens
from standalone.identity.provider import Provider
from tests.fakes.clock import FakeClock
from tests.unit.standalone.identity.signer import ISSUER, SECONDS, FakeWeb, Signer

SIGNER = Signer("key")
ADDRESS = {"email": "ci@example.org", "email_verified": True}


class World:
    """Tokens of one provider, for `client`."""

    def __init__(self, listed: Collection[str] | None = None) -> None:
        self.clock = FakeClock()
        self.web = FakeWeb(SIGNER)
        self.issued = IssuedTokens(Provider(ISSUER, self.web, self.clock), self.clock, audience="client", listed=listed)


def run(scenario: Callable[[World], Awaitable[None]], listed: Collection[str] | None = None) -> None:
    async def within() -> None:
        await scenario(World(listed))

    asyncio.run(within())


def test_the_account_is_the_verified_address_or_the_subject() -> None:
    async def scenario(world: World) -> None:
        assert await world.issued.account(SIGNER.token(**ADDRESS)) == "ci@example.org"
        subject = "system:serviceaccount:apps:agent"
        assert await world.issued.account(SIGNER.token(sub=subject)) == subject

    run(scenario)


def test_other_tokens_prove_nothing_and_cost_no_look() -> None:
    async def scenario(world: World) -> None:
        assert [await world.issued.account(token) for token in ("ipx_x", "a.b.c", "")] == 3 * [None]
        assert world.web.asked == []

    run(scenario)


def test_a_token_that_is_not_right_proves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    token = SIGNER.token(aud="other")

    async def scenario(world: World) -> None:
        caplog.set_level("INFO")
        assert await world.issued.account(token) is None

    run(scenario)
    assert caplog.messages == ["an ID token is refused: for another audience"]


def test_an_address_that_is_not_verified_is_refused() -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(NotAllowed):
            await world.issued.account(SIGNER.token(email="ci@example.org"))

    run(scenario)


def test_only_accounts_that_are_listed_may_come_in_where_there_is_a_list() -> None:
    async def scenario(world: World) -> None:
        assert await world.issued.account(SIGNER.token(**ADDRESS)) == "ci@example.org"
        other = SIGNER.token(email="eve@example.org", email_verified=True)
        with pytest.raises(NotAllowed) as caught:
            await world.issued.account(other)
        assert (caught.value.authenticated, world.issued.known(other)) == (True, None)

    run(scenario, ["CI@example.org"])


def test_a_token_is_known_for_some_minutes_and_not_longer_than_it_is_good() -> None:
    async def scenario(world: World) -> None:
        long, short = SIGNER.token(**ADDRESS, exp=2**40), SIGNER.token(**ADDRESS, exp=SECONDS + 60)
        assert world.issued.known(long) is None
        for token in (long, short):
            await world.issued.account(token)
        known = [(world.issued.known(long), world.issued.known(short))]
        for pause in (60, 240):
            world.clock.advance(timedelta(seconds=pause))
            known.append((world.issued.known(long), world.issued.known(short)))

        assert known == [("ci@example.org", "ci@example.org"), ("ci@example.org", None), (None, None)]

    run(scenario)


def test_so_many_are_known_and_no_more() -> None:
    async def scenario(world: World) -> None:
        tokens = [SIGNER.token(**ADDRESS, jti=str(number)) for number in range(1001)]
        for token in tokens:
            await world.issued.account(token)

        assert [world.issued.known(tokens[index]) for index in (0, 1, 1000)] == [
            None,
            "ci@example.org",
            "ci@example.org",
        ]

    run(scenario)


def test_without_the_providers_keys_nobody_can_tell() -> None:
    async def scenario(world: World) -> None:
        world.web.is_down = True
        with pytest.raises(StoreUnavailable):
            await world.issued.account(SIGNER.token(**ADDRESS))

    run(scenario)
