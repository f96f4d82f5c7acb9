import pytest

from broker.errors import NotAllowed, StoreUnavailable
from tests.fakes.identity import FakeIdentity
from wire.headers import Headers

NONE = Headers()


def test_the_callers_are_who_the_test_says() -> None:
    identity = FakeIdentity(user="u@example.com", account="a@example.com", admin_account="b@example.com")

    assert (identity.end_user(NONE), identity.backend_account(NONE), identity.admin(NONE)) == (
        "u@example.com",
        "a@example.com",
        "b@example.com",
    )


def test_a_caller_without_credentials_is_refused() -> None:
    with pytest.raises(NotAllowed):
        FakeIdentity().backend_account(NONE)
    with pytest.raises(NotAllowed):
        FakeIdentity().admin(NONE)


def test_an_error_meets_everybody() -> None:
    identity = FakeIdentity(error=StoreUnavailable("down"))

    for ask in (identity.end_user, identity.backend_account, identity.admin):
        with pytest.raises(StoreUnavailable):
            ask(NONE)
