"""`standalone.identity.accounts`: which account a bearer token proves."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from broker.errors import NotAllowed, StoreUnavailable
from edge.errors import Refusal
from edge.identity import Caller
from standalone.identity.accounts import Accounts, Proof
from standalone.identity.throttle import BURST, REFILL, Throttle
from standalone.identity.tokens import MAX_FILE_BYTES, Entry, Tokens, digest_of, new_token, parse_tokens
from standalone.process.watched import WatchedFile
from tests.fakes.clock import FakeClock
from wire.headers import Headers

TOKEN = new_token()


class FakeIssued:
    """A provider whose tokens are `good`, of `account`."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked = 0
        self.error = error
        self.proved: set[str] = set()

    def known(self, token: str) -> str | None:
        return "issued@example.org" if token in self.proved else None

    async def account(self, token: str) -> str | None:
        self.asked += 1
        if self.error is not None:
            raise self.error
        if token != "good":
            return None
        self.proved.add(token)
        return "issued@example.org"


class World:
    """Accounts by a file with one token, and by a provider."""

    def __init__(self, folder: Path, issued: FakeIssued | None = None) -> None:
        self.path = folder / "tokens"
        self.path.write_text(Entry(account="ci", digest=digest_of(TOKEN)).line())
        self.file: WatchedFile[Tokens] = WatchedFile(self.path, parse_tokens, max_bytes=MAX_FILE_BYTES)
        self.clock = FakeClock()
        self.accounts = Accounts(self.clock, Throttle(), tokens=self.file, issued=issued)

    def ask(self, token: str, peer: str = "192.0.2.1") -> str:
        return self.prove(token, peer).account

    def prove(self, token: str, peer: str = "192.0.2.1") -> Proof:
        return asyncio.run(self.accounts.prove(Caller(Headers([("Authorization", f"Bearer {token}")]), peer)))

    def write(self, *entries: Entry) -> None:
        self.path.write_text("\n".join(entry.line() for entry in entries))
        self.file.read_again()


def test_a_token_of_the_file_is_its_account(tmp_path: Path) -> None:
    assert World(tmp_path).ask(TOKEN) == "ci"


@pytest.mark.parametrize("token", ["", "x", "ipx_x", "a.b.c"])
def test_every_other_token_is_refused_in_the_same_way(token: str, tmp_path: Path) -> None:
    with pytest.raises(NotAllowed) as caught:
        World(tmp_path).ask(token)
    assert not caught.value.authenticated
    assert token in ("", "x") or token not in str(caught.value)


def test_two_tokens_are_none(tmp_path: Path) -> None:
    twice = Caller(Headers([("Authorization", f"Bearer {TOKEN}")] * 2))
    with pytest.raises(NotAllowed):
        asyncio.run(World(tmp_path).accounts.account(twice))


def test_a_token_that_is_taken_out_of_the_file_is_good_no_more(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.path.write_text("")
    world.file.look()

    with pytest.raises(NotAllowed):
        world.ask(TOKEN)


def test_a_proof_holds_for_as_long_as_the_file_lists_its_token_for_its_account(tmp_path: Path) -> None:
    world = World(tmp_path)
    proof, entry = world.prove(TOKEN), Entry(account="ci", digest=digest_of(TOKEN))
    held = [proof.holds()]
    for entries in (
        [entry, Entry(account="more", digest=digest_of("more"))],
        [],
        [replace(entry, name="named")],
        [replace(entry, account="another")],
        [replace(entry, expires=world.clock.now() + timedelta(seconds=1))],
    ):
        world.write(*entries)
        held.append(proof.holds())
    world.clock.advance(timedelta(seconds=1))

    assert [*held, proof.holds()] == [True, True, False, True, False, True, False]


def test_a_providers_token_holds_for_the_call_that_it_came_with(tmp_path: Path) -> None:
    issued = FakeIssued()
    world = World(tmp_path, issued)
    fresh, remembered = world.prove("good"), world.prove("good")
    issued.proved.clear()
    world.clock.advance(timedelta(hours=2))

    assert (fresh.holds(), remembered.holds()) == (True, True)


def test_a_providers_token_is_asked_about_once(tmp_path: Path) -> None:
    issued = FakeIssued()
    world = World(tmp_path, issued)

    assert [world.ask("good"), world.ask("good"), issued.asked] == ["issued@example.org", "issued@example.org", 1]


def test_a_provider_that_is_down_is_no_refusal(tmp_path: Path) -> None:
    world = World(tmp_path, FakeIssued(StoreUnavailable("down")))
    for _ in range(BURST + 1):
        with pytest.raises(StoreUnavailable):
            world.ask("good")


def exhausted(world: World) -> World:
    for _ in range(BURST):
        with pytest.raises(NotAllowed):
            world.ask("wrong")
    return world


def test_who_guesses_is_told_to_wait_for_a_while(tmp_path: Path) -> None:
    world = exhausted(World(tmp_path, FakeIssued()))
    with pytest.raises(Refusal) as caught:
        world.ask("wrong")

    assert caught.value.failure.status == 429
    world.clock.advance(REFILL)
    with pytest.raises(NotAllowed):
        world.ask("wrong")


def test_a_good_token_is_taken_also_from_where_others_guess(tmp_path: Path) -> None:
    world = exhausted(World(tmp_path, FakeIssued()))

    assert [world.ask(TOKEN), world.ask("good")] == ["ci", "issued@example.org"]


def test_guesses_from_elsewhere_hold_nobody_up(tmp_path: Path) -> None:
    world = exhausted(World(tmp_path))
    with pytest.raises(NotAllowed):
        world.ask("wrong", peer="192.0.2.2")


def test_without_any_way_to_know_somebody_everybody_is_refused() -> None:
    nobody = Accounts(FakeClock(), Throttle())
    with pytest.raises(NotAllowed):
        asyncio.run(nobody.account(Caller(Headers([("Authorization", "Bearer x")]))))
