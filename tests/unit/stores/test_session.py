"""`stores.session`: ndb whose calls end, and fail with errors of the broker."""

import grpc
import pytest
from google.cloud import ndb

from broker.errors import StoreUnavailable, UnknownBackend
from stores.calls import TIMEOUT, CallFailed
from stores.session import session
from tests.emulator import connect
from tests.unit.stores.counting import count_calls

pytestmark = pytest.mark.loopback


class Thing(ndb.Model):
    """A kind of this test."""


def test_a_call_that_fails_is_made_once_and_says_how_it_failed() -> None:
    gone = connect("127.0.0.1:1", namespace="test")
    counter = count_calls(gone, "127.0.0.1:1")
    with pytest.raises(CallFailed) as caught, session(gone):
        ndb.Key("kind", "name").get()
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert (counter.calls, counter.limits) == (["Lookup"], [TIMEOUT])


def test_what_ndb_refuses_is_an_error_of_the_store() -> None:
    with (
        pytest.raises(StoreUnavailable, match="^Datastore: no such thing$"),
        session(connect("127.0.0.1:1", namespace="")),
    ):
        raise ndb.exceptions.BadValueError("no such thing")


def test_other_errors_pass() -> None:
    with pytest.raises(UnknownBackend), session(connect("127.0.0.1:1", namespace="")):
        raise UnknownBackend("none")


def test_nothing_is_remembered_even_within_a_session(ndb_client: ndb.Client, datastore_host: str) -> None:
    counter = count_calls(ndb_client, datastore_host)
    with session(ndb_client):
        key = Thing(id="name").put()
        assert [key.get(), key.get()] == [Thing(key=key), Thing(key=key)]
    assert counter.calls == ["Commit", "Lookup", "Lookup"]


def test_what_is_still_on_its_way_is_waited_for(ndb_client: ndb.Client) -> None:
    with session(ndb_client):
        looked = ndb.Key("kind", "name").get_async()
    assert looked.done()
