"""`standalone.identity.desk`: what signing in and out have in common."""

import asyncio

import pytest

from edge.errors import Refusal
from standalone.identity.desk import read_pairs
from tests.unit.standalone.identity.lobby import Lobby
from tests.unit.standalone.identity.signer import DESCRIPTION, DISCOVERY
from wire.errors import MalformedMessage


def test_a_query_is_read_as_forms_write_it() -> None:
    assert read_pairs("a=b+c&d=%26&e") == {"a": "b c", "d": "&", "e": ""}


@pytest.mark.parametrize("text", ["a=1&a=2", "&".join(f"n{number}=" for number in range(21))])
def test_one_that_is_too_long_or_says_something_twice_is_malformed(text: str) -> None:
    with pytest.raises(MalformedMessage):
        read_pairs(text)


def test_a_provider_at_which_nobody_can_sign_in_is_as_good_as_down() -> None:
    async def scenario() -> None:
        lobby = Lobby()
        lobby.web.served[DISCOVERY] = DESCRIPTION | {"authorization_endpoint": ""}
        with pytest.raises(Refusal) as caught:
            await lobby.desk.metadata()
        assert caught.value.failure.reason == "sign-in-unavailable"

    asyncio.run(scenario())
