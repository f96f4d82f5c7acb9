"""`standalone.identity.gate`: which agents may serve which backend."""

import asyncio
from pathlib import Path

import pytest

from broker.errors import NotAllowed
from broker.policy import Policy
from edge.identity import Caller
from standalone.identity.accounts import Accounts, Proof
from standalone.identity.gate import guarded_gate, open_gate
from standalone.identity.throttle import Throttle
from standalone.identity.tokens import MAX_FILE_BYTES, Entry, Tokens, digest_of, new_token, parse_tokens
from standalone.process.watched import WatchedFile
from standalone.rights import Right
from stores.memory.store import MemoryStore
from tests.factories import BACKEND, a_backend
from tests.fakes.clock import FakeClock
from wire.headers import Headers
from wire.protocol import BackendId


class FakeIssued:
    """A provider of which each token names its account."""

    def known(self, token: str) -> str | None:
        return token

    async def account(self, token: str) -> str | None:
        return token


def a_store() -> MemoryStore:
    store = MemoryStore(Policy())
    store.put_backend(a_backend(backend_user="ci"))
    return store


def pass_gate(account: str, backend_id: str, store: MemoryStore | None = None) -> Proof:
    gate = guarded_gate(Accounts(FakeClock(), Throttle(), issued=FakeIssued()), store or a_store())

    async def ask() -> Proof:
        return await gate(Caller(Headers([("Authorization", f"Bearer {account}")])), BackendId(backend_id))

    return asyncio.run(ask())


def test_the_account_that_a_backend_is_registered_for_may_serve_it() -> None:
    assert pass_gate("CI", BACKEND).account == "CI"


def test_the_right_to_serve_ends_with_the_registration_for_that_account() -> None:
    store = a_store()
    right = pass_gate("ci", BACKEND, store).holds
    held = [right()]
    store.put_backend(a_backend(backend_user="CI", path_prefixes=("/other",)))
    held.append(right())
    store.put_backend(a_backend(backend_user="other"))
    held.append(right())
    store.put_backend(a_backend(backend_user="ci"))
    held.append(right())
    store.delete_backend(BACKEND)

    assert [*held, right()] == [True, True, False, True, False]


def test_the_right_to_serve_ends_with_what_has_proved_the_account(tmp_path: Path) -> None:
    path, token = tmp_path / "tokens", new_token()
    path.write_text(Entry(account="ci", digest=digest_of(token)).line())
    file: WatchedFile[Tokens] = WatchedFile(path, parse_tokens, max_bytes=MAX_FILE_BYTES)
    gate = guarded_gate(Accounts(FakeClock(), Throttle(), tokens=file), a_store())

    async def ask() -> Right:
        return (await gate(Caller(Headers([("Authorization", f"Bearer {token}")])), BACKEND)).holds

    right = asyncio.run(ask())
    before = right()
    path.write_text("")
    file.read_again()

    assert (before, right()) == (True, False)


def test_nobody_finds_out_which_backends_there_are() -> None:
    refusals = []
    for account, backend_id in (("other", BACKEND), ("other", "nothing")):
        with pytest.raises(NotAllowed) as caught:
            pass_gate(account, backend_id)
        refusals.append((str(caught.value), caught.value.authenticated))

    assert refusals[0] == refusals[1]
    assert refusals[0][1]


def test_an_open_gate_asks_nobody() -> None:
    async def ask() -> Right:
        return (await open_gate(Caller(Headers()), BackendId("anything"))).holds

    assert asyncio.run(ask())()
