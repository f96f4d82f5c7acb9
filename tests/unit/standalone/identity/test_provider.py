"""`standalone.identity.provider`: what a provider says of itself, its keys, and the times when it is down."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from broker.errors import StoreUnavailable
from standalone.identity.id_tokens import InvalidToken, UnknownKey
from standalone.identity.provider import Provider, parse_metadata
from tests.fakes.clock import FakeClock
from tests.unit.standalone.identity.signer import DESCRIPTION, DISCOVERY, ISSUER, FakeWeb, Signer

T = TypeVar("T")

OLD, NEW = Signer("old"), Signer("new")


class World:
    """A provider behind a web of our own."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.web = FakeWeb(OLD)
        self.provider = Provider(ISSUER, self.web, self.clock)

    async def read(self, token: str) -> dict[str, object]:
        return dict(await self.provider.read(token, audience="client"))


def run(scenario: Callable[[World], Awaitable[T]]) -> T:
    async def within() -> T:
        return await scenario(World())

    return asyncio.run(within())


def test_a_token_is_read_with_the_keys_that_discovery_leads_to() -> None:
    async def scenario(world: World) -> None:
        assert (await world.read(OLD.token(sub="ada")))["sub"] == "ada"
        await world.read(OLD.token())
        assert world.web.asked == [DISCOVERY, f"{ISSUER}/keys"]

    run(scenario)


def test_a_hundred_at_once_cost_one_look() -> None:
    async def scenario(world: World) -> None:
        await asyncio.gather(*(world.read(OLD.token()) for _ in range(100)))
        assert len(world.web.asked) == 2

    run(scenario)


def test_a_new_key_is_found_when_it_is_used() -> None:
    async def scenario(world: World) -> None:
        await world.read(OLD.token())
        world.web.publish(NEW)
        world.clock.advance(timedelta(seconds=10))
        await world.read(NEW.token())

        with pytest.raises(InvalidToken):
            await world.read(OLD.token())

    run(scenario)


def test_garbage_does_not_make_us_ask_each_time() -> None:
    async def scenario(world: World) -> None:
        await world.read(OLD.token())
        for _ in range(50):
            with pytest.raises(UnknownKey):
                await world.read(NEW.token())
        assert len(world.web.asked) == 2

    run(scenario)


def test_what_was_fetched_serves_for_a_day_while_the_provider_is_down() -> None:
    async def scenario(world: World) -> None:
        await world.read(OLD.token(exp=2**33))
        world.web.is_down = True
        world.clock.advance(timedelta(hours=23))
        await world.read(OLD.token(exp=2**33))
        world.clock.advance(timedelta(hours=1))
        with pytest.raises(StoreUnavailable):
            await world.read(OLD.token(exp=2**33))

    run(scenario)


def test_a_provider_that_is_down_is_not_asked_by_everybody() -> None:
    async def scenario(world: World) -> None:
        world.web.is_down = True
        for _ in range(20):
            with pytest.raises(StoreUnavailable):
                await world.provider.metadata()
        assert len(world.web.asked) == 1
        world.web.is_down = False
        world.clock.advance(timedelta(seconds=10))

        assert (await world.provider.metadata()).issuer == ISSUER

    run(scenario)


def test_keys_are_asked_for_again_after_an_hour() -> None:
    async def scenario(world: World) -> None:
        await world.read(OLD.token(exp=2**33))
        world.web.publish()
        world.clock.advance(timedelta(hours=1))
        with pytest.raises(UnknownKey):
            await world.read(OLD.token(exp=2**33))

    run(scenario)


def test_a_description_that_is_of_another_is_as_good_as_none() -> None:
    async def scenario(world: World) -> None:
        world.web.served[DISCOVERY] = DESCRIPTION | {"issuer": f"{ISSUER}/"}
        with pytest.raises(StoreUnavailable, match="its `issuer` is another"):
            await world.provider.metadata()

    run(scenario)


def test_keys_that_are_none_are_as_good_as_none() -> None:
    async def scenario(world: World) -> None:
        world.web.served[f"{ISSUER}/keys"] = ["no", "keys"]
        with pytest.raises(StoreUnavailable, match="not a JSON Web Key Set"):
            await world.read(OLD.token())

    run(scenario)


def test_only_the_signatures_that_a_provider_announces_are_taken() -> None:
    async def scenario(world: World) -> None:
        world.web.served[DISCOVERY] = DESCRIPTION | {
            "id_token_signing_alg_values_supported": ["ES256", "none", "HS256"]
        }
        assert (await world.provider.metadata()).algorithms == {"ES256"}
        with pytest.raises(InvalidToken, match="not allowed"):
            await world.read(OLD.token())

    run(scenario)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"jwks_uri": "http://id.example.org/keys"}, "jwks_uri is not https"),
        ({"token_endpoint": "//x"}, "token_endpoint is not https"),
        ({"end_session_endpoint": 7}, "end_session_endpoint is not https"),
        ({"jwks_uri": ""}, "has no jwks_uri"),
    ],
)
def test_a_description_has_to_be_safe_and_whole(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_metadata(DESCRIPTION | changes, issuer=ISSUER)


@pytest.mark.parametrize("value", [None, [], "x"])
def test_a_description_is_an_object(value: object) -> None:
    with pytest.raises(ValueError):
        parse_metadata(value, issuer=ISSUER)


@pytest.mark.parametrize(
    ("ways", "expected"),
    [
        (["client_secret_post"], True),
        (["client_secret_post", "client_secret_basic"], False),
        (["client_secret_basic"], False),
        (None, False),
    ],
)
def test_a_secret_goes_into_the_form_only_where_there_is_no_other_way(ways: list[str] | None, expected: bool) -> None:
    description = DESCRIPTION | ({"token_endpoint_auth_methods_supported": ways} if ways else {})

    assert parse_metadata(description, issuer=ISSUER).takes_secret_in_form_alone is expected
