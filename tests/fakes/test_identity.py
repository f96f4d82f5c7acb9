import pytest

from broker.errors import NotAllowed, StoreUnavailable
from edge.identity import Caller
from tests.fakes.identity import FakeIdentity
from wire.headers import Headers

NOBODY = Caller(Headers())


def test_the_callers_are_who_the_test_says() -> None:
    identity = FakeIdentity(user="u@example.com", account="a@example.com", admin_account="b@example.com")

    assert (identity.end_user(NOBODY), identity.backend_account(NOBODY), identity.admin(NOBODY)) == (
        "u@example.com",
        "a@example.com",
        "b@example.com",
    )


def test_a_caller_without_credentials_is_refused() -> None:
    with pytest.raises(NotAllowed):
        FakeIdentity().backend_account(NOBODY)
    with pytest.raises(NotAllowed):
        FakeIdentity().admin(NOBODY)


def test_an_error_meets_everybody() -> None:
    identity = FakeIdentity(error=StoreUnavailable("down"))

    for ask in (identity.end_user, identity.backend_account, identity.admin):
        with pytest.raises(StoreUnavailable):
            ask(NOBODY)
