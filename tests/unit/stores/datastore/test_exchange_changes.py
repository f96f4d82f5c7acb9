"""A new exchange, where it is not clear whether it was written. The rest is seen through the store in Datastore."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

import pytest
from google.cloud.ndb import Client
from grpc import StatusCode

from broker.errors import DuplicateRequest, StoreUnavailable
from broker.model import Part, State
from broker.policy import Policy
from stores.datastore.calls import ATTEMPTS, UNCLEAR
from stores.datastore.conditional import Datastore
from stores.datastore.exchange_records import EXCHANGE, PART_KINDS
from stores.datastore.exchange_streams import MAX_INLINE_BYTES
from stores.datastore.store import DatastoreStore
from tests.emulator import connect
from tests.factories import BACKEND, REQUEST, an_exchange
from tests.fakes.clock import NOON
from tests.fakes.grpc_failure import Failure

pytestmark = pytest.mark.loopback

AGENT: Final = "agent-1"
CODES: Final = sorted(UNCLEAR, key=lambda code: code.name)
LARGE: Final = bytes(MAX_INLINE_BYTES + 1)


@pytest.fixture
def store(ndb_client: Client) -> DatastoreStore:
    return DatastoreStore(ndb_client, Policy())


@pytest.fixture
def elsewhere(ndb_client: Client, datastore_host: str) -> DatastoreStore:
    """The store of another process over the same database."""
    return DatastoreStore(connect(datastore_host, namespace=ndb_client.namespace), Policy())


def commits(client: Client, *acts: Callable[[Callable[[], Any]], Any], then_lookups_fail: bool = False) -> None:
    """From now on each commit is left to the next of the acts, which is given what makes it; the later ones go
    through."""
    there, left = client.stub, list(acts)

    def commit(*args: Any, **kwargs: Any) -> Any:
        act = left.pop(0) if left else lambda make: make()
        return act(lambda: there.commit(*args, **kwargs))

    def lookup(*args: Any, **kwargs: Any) -> Any:
        if then_lookups_fail:
            raise Failure(StatusCode.UNAVAILABLE)
        return there.lookup(*args, **kwargs)

    client.stub = SimpleNamespace(commit=commit, lookup=lookup, run_query=there.run_query)


def made_and(code: StatusCode, *, meanwhile: Callable[[], object] = lambda: None) -> Callable[[Callable[[], Any]], Any]:
    """Make it, and say that it failed."""

    def act(make: Callable[[], Any]) -> Any:
        make()
        meanwhile()
        raise Failure(code)

    return act


def refused(code: StatusCode) -> Callable[[Callable[[], Any]], Any]:
    """Do not make it."""

    def act(make: Callable[[], Any]) -> Any:
        raise Failure(code)

    return act


@pytest.mark.parametrize("request_", [b"ask", LARGE])
@pytest.mark.parametrize("code", CODES)
def test_one_that_was_written_though_its_call_failed_is_there(
    ndb_client: Client, store: DatastoreStore, code: StatusCode, request_: bytes
) -> None:
    commits(ndb_client, made_and(code))
    store.add_exchange(an_exchange(), request_, last=True)
    answer = store.read_answer(BACKEND, REQUEST, 0)
    assert (answer.exchange, answer.part) == (an_exchange(), None)
    assert store.read_request(BACKEND, REQUEST, 0) == Part(0, request_, last=True)
    store.delete_exchange(BACKEND, REQUEST)
    assert list(Datastore(ndb_client).query(EXCHANGE)) == []


@pytest.mark.parametrize("code", CODES)
def test_one_that_was_not_written_is_written_again(ndb_client: Client, store: DatastoreStore, code: StatusCode) -> None:
    commits(ndb_client, *[refused(code)] * 2)
    store.add_exchange(an_exchange(), b"ask", last=True)
    assert store.read_request(BACKEND, REQUEST, 0) == Part(0, b"ask", last=True)


def test_what_an_agent_has_made_of_it_meanwhile_is_kept(
    ndb_client: Client, store: DatastoreStore, elsewhere: DatastoreStore
) -> None:
    def serve() -> None:
        elsewhere.fetch_exchange(BACKEND, REQUEST, agent_id=AGENT, now=NOON)
        elsewhere.append_answer(BACKEND, REQUEST, 0, b"say", agent_id=AGENT, last=True, now=NOON)

    commits(ndb_client, made_and(StatusCode.UNAVAILABLE, meanwhile=serve))
    store.add_exchange(an_exchange(), b"ask", last=True)
    answer = store.read_answer(BACKEND, REQUEST, 0)
    assert (answer.exchange.state, answer.part) == (State.ANSWERED, Part(0, b"say", last=True))


def test_another_one_under_its_id_stays_another_one(
    ndb_client: Client, store: DatastoreStore, elsewhere: DatastoreStore
) -> None:
    elsewhere.add_exchange(an_exchange(end_user="you@example.com"), b"ask", last=True)
    commits(ndb_client, refused(StatusCode.UNAVAILABLE))
    with pytest.raises(DuplicateRequest):
        store.add_exchange(an_exchange(), b"ask", last=True)
    assert elsewhere.read_answer(BACKEND, REQUEST, 0).exchange.end_user == "you@example.com"


def test_one_that_is_found_when_no_call_could_say_so_is_there(ndb_client: Client, store: DatastoreStore) -> None:
    code = StatusCode.DEADLINE_EXCEEDED
    commits(ndb_client, made_and(code), *[refused(code)] * (ATTEMPTS - 1))
    store.add_exchange(an_exchange(), b"ask", last=True)
    assert store.read_request(BACKEND, REQUEST, 0) == Part(0, b"ask", last=True)


@pytest.mark.parametrize("request_", [b"ask", LARGE])
def test_where_it_stays_unclear_it_is_taken_away_again(
    ndb_client: Client, store: DatastoreStore, request_: bytes
) -> None:
    commits(ndb_client, made_and(StatusCode.UNAVAILABLE), then_lookups_fail=True)
    with pytest.raises(StoreUnavailable):
        store.add_exchange(an_exchange(), request_, last=True)
    assert [page for kind in (EXCHANGE, *PART_KINDS) for page in Datastore(ndb_client).query(kind)] == []


def test_what_cannot_be_written_is_told_as_it_is(ndb_client: Client, store: DatastoreStore) -> None:
    commits(ndb_client, *[refused(StatusCode.RESOURCE_EXHAUSTED)] * 9)
    with pytest.raises(StoreUnavailable, match="RESOURCE_EXHAUSTED: no luck"):
        store.add_exchange(an_exchange(), b"ask", last=True)
