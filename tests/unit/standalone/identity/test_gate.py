"""`standalone.identity.gate`: which agents may serve which backend."""

import asyncio

import pytest

from broker.errors import NotAllowed
from broker.policy import Policy
from edge.identity import Caller
from standalone.identity.accounts import Accounts
from standalone.identity.gate import guarded_gate, open_gate
from standalone.identity.throttle import Throttle
from stores.memory import MemoryStore
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


def pass_gate(account: str, backend_id: str) -> None:
    store = MemoryStore(Policy())
    store.put_backend(a_backend(backend_user="ci"))
    gate = guarded_gate(Accounts(FakeClock(), Throttle(), issued=FakeIssued()), store)
    asyncio.run(gate(Caller(Headers([("Authorization", f"Bearer {account}")])), BackendId(backend_id)))


def test_the_account_that_a_backend_is_registered_for_may_serve_it() -> None:
    pass_gate("CI", BACKEND)


def test_nobody_finds_out_which_backends_there_are() -> None:
    refusals = []
    for account, backend_id in (("other", BACKEND), ("other", "nothing")):
        with pytest.raises(NotAllowed) as caught:
            pass_gate(account, backend_id)
        refusals.append((str(caught.value), caught.value.authenticated))

    assert refusals[0] == refusals[1]
    assert refusals[0][1]


def test_an_open_gate_asks_nobody() -> None:
    asyncio.run(open_gate(Caller(Headers()), BackendId("anything")))
