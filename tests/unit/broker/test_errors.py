import pytest

from broker import errors
from broker.errors import BrokenAnswer, BrokerError, NotAllowed

REASONS = {
    "UnknownBackend": "no-backend",
    "FixedBackend": "fixed-backend",
    "UnknownRequest": "unknown-request",
    "DuplicateRequest": "duplicate-request",
    "NotAllowed": "not-allowed",
    "BackendOffline": "no-agent",
    "Overloaded": "overloaded",
    "TooManyRequests": "too-many-requests",
    "ClaimedElsewhere": "claimed-elsewhere",
    "ConflictingBytes": "conflicting-bytes",
    "BrokenAnswer": "broken-answer",
    "NoAnswer": "timeout",
    "StoreUnavailable": "store-unavailable",
}


def test_every_error_has_its_own_reason_for_machines() -> None:
    assert {kind.__name__: kind.reason for kind in BrokerError.__subclasses__()} == REASONS


@pytest.mark.parametrize("name", sorted(set(REASONS) - {"NotAllowed"}))
def test_an_error_says_what_is_wrong(name: str) -> None:
    assert str(getattr(errors, name)("what is wrong")) == "what is wrong"


@pytest.mark.parametrize("authenticated", [True, False])
def test_no_identity_and_the_wrong_one_are_told_apart(authenticated: bool) -> None:
    error = NotAllowed("not an agent of this backend", authenticated=authenticated)

    assert (str(error), error.authenticated) == ("not an agent of this backend", authenticated)


@pytest.mark.parametrize("reason", ["agent-lost", "a", "http-2", "x" * 64])
def test_an_answer_may_be_broken_for_a_reason_of_its_own(reason: str) -> None:
    error = BrokenAnswer("what is wrong", reason=reason)

    assert (str(error), error.reason) == ("what is wrong", reason)


@pytest.mark.parametrize("reason", ["", "Upper", "two words", "x" * 65, "line\n", "<script>", "\u0663"])
def test_a_reason_that_is_not_a_word_counts_as_none(reason: str) -> None:
    assert BrokenAnswer("what is wrong", reason=reason).reason == "broken-answer"
