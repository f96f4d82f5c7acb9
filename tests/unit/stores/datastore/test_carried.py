"""Two processes over one Datastore: what one has stored, the other learns without asking for it."""

import hashlib
from dataclasses import dataclass, field

import pytest
from google.cloud.ndb import Client

from broker.model import Part
from broker.waiting import ExchangeKey, Key, PendingKey
from stores.datastore.store import DatastoreStore
from tests.contract.cases import AGENT, NOW, POLICY, REQUEST_BYTES, answer, part_of_answer, queued
from tests.datastore_relay import DatastoreRelay
from tests.factories import BACKEND, REQUEST
from wire.protocol import RequestId

pytestmark = pytest.mark.loopback

KEY = ExchangeKey(REQUEST)
ANSWER = b"HTTP/1.1 200 OK\r\n\r\n"


@dataclass
class Carrying:
    """A request that one process has queued and the other has fetched."""

    client: Client
    users: DatastoreStore = field(init=False)
    agents: DatastoreStore = field(init=False)

    def __post_init__(self) -> None:
        self.users, self.agents = (DatastoreStore(self.client, POLICY) for _ in range(2))
        queued(self.users)
        part_of_answer(self.users, 0)
        self.agents.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=NOW)

    def carry(self, key: Key = KEY) -> bytes:
        """What goes from one to the other."""
        data = self.agents.carried.pack(KEY)
        self.users.carried.learn(key, data)
        return data


@pytest.fixture
def carrying(ndb_client: Client) -> Carrying:
    return Carrying(ndb_client)


def test_a_whole_answer_that_was_carried_is_read_and_deleted_without_a_look_up(
    carrying: Carrying, relay: DatastoreRelay
) -> None:
    answer(carrying.agents, 0, ANSWER, last=True)
    carrying.carry()

    relay.calls.clear()
    assert part_of_answer(carrying.users, 0) == Part(0, ANSWER, last=True)
    carrying.users.delete_exchange(BACKEND, REQUEST)
    assert relay.methods() == {"Commit": 1}


@pytest.mark.parametrize(("data", "last"), [(ANSWER, False), (b"x" * 100_000, True)])
def test_a_part_is_not_carried_nor_what_is_long(carrying: Carrying, data: bytes, last: bool) -> None:
    answer(carrying.agents, 0, data, last=last)

    assert carrying.carry() == b""


def test_the_bytes_of_the_request_stay_out_of_the_cache(carrying: Carrying) -> None:
    answer(carrying.agents, 0, ANSWER, last=True)

    data = carrying.carry()
    assert ANSWER in data
    assert REQUEST_BYTES not in data


def test_of_a_request_nothing_is_carried(carrying: Carrying) -> None:
    assert carrying.agents.carried.pack(KEY) == carrying.agents.carried.pack(PendingKey(BACKEND)) == b""


@pytest.mark.parametrize("data", [b"", b"\x00" * 8, b"\x00" * 12, b"nonsense that is no entity"])
def test_what_cannot_be_read_is_not_learned(carrying: Carrying, data: bytes) -> None:
    answer(carrying.agents, 0, ANSWER, last=True)
    carrying.users.carried.learn(KEY, data)
    carrying.users.carried.learn(KEY, hashlib.blake2b(data, digest_size=8).digest() + data)

    assert part_of_answer(carrying.users, 0) == Part(0, ANSWER, last=True)


def test_what_has_changed_on_its_way_is_not_learned(carrying: Carrying, relay: DatastoreRelay) -> None:
    answer(carrying.agents, 0, ANSWER, last=True)
    data = carrying.agents.carried.pack(KEY)
    at = data.index(ANSWER)
    for place in (0, at, len(data) - 1):
        changed = bytes((*data[:place], data[place] ^ 1, *data[place + 1 :]))
        carrying.users.carried.learn(KEY, changed)
    carrying.users.carried.learn(KEY, data[:at])
    relay.calls.clear()

    assert part_of_answer(carrying.users, 0) == Part(0, ANSWER, last=True)
    assert relay.methods() == {"Lookup": 1}


def test_what_is_of_another_exchange_is_not_learned(carrying: Carrying, relay: DatastoreRelay) -> None:
    other = ExchangeKey(RequestId("request-2"))
    queued(carrying.users, other.request_id)
    part_of_answer(carrying.users, 0, other.request_id)
    answer(carrying.agents, 0, ANSWER, last=True)
    carrying.carry(other)

    assert part_of_answer(carrying.users, 0, other.request_id) is None


def test_what_this_process_has_forgotten_or_never_known_is_not_learned(carrying: Carrying) -> None:
    answer(carrying.agents, 0, ANSWER, last=True)
    carrying.users.delete_exchange(BACKEND, REQUEST)
    carrying.carry()

    assert carrying.users.carried.pack(KEY) == b""


def test_what_is_older_than_what_is_known_is_not_learned(carrying: Carrying, relay: DatastoreRelay) -> None:
    answer(carrying.agents, 0, ANSWER, last=True)
    part_of_answer(carrying.users, 0)
    carrying.carry()

    relay.calls.clear()
    part_of_answer(carrying.users, 0)
    assert relay.methods() == {"Lookup": 1}
