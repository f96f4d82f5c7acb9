"""The contract of a store: `broker.store`, sentence by sentence. A store's test class adds one fixture, `store`, and
nothing else: it yields an empty store made with `cases.POLICY`."""

from tests.contract.backend_contract import BackendContract
from tests.contract.exchange_contract import ExchangeContract
from tests.contract.handout_contract import HandoutContract
from tests.contract.race_contract import RaceContract
from tests.contract.stream_contract import StreamContract
from tests.contract.sweep_contract import SweepContract


class StoreContract(BackendContract, ExchangeContract, HandoutContract, StreamContract, SweepContract, RaceContract):
    """One suite for every store."""


def overridden_tests(suite: type[StoreContract]) -> set[str]:
    """The tests that a store's class takes over instead of passing."""
    return {name for name in vars(suite) if name.startswith("test_")}
