"""`stores.datastore.calls`: which failures are tried again, how often, and what is said in the end."""

import pytest
from grpc import StatusCode

from stores.datastore.calls import ATTEMPTS, CONTENDED, INTERRUPTED, CallFailed, repeat
from tests.fakes.grpc_failure import Failure


def a_failure(code: StatusCode) -> CallFailed:
    return CallFailed(Failure(code))


class Failing:
    """Fails so often, then returns how often it was called."""

    def __init__(self, times: int, code: StatusCode) -> None:
        self.left = times
        self.code = code
        self.called = 0

    def __call__(self) -> int:
        self.called += 1
        self.left -= 1
        if self.left >= 0:
            raise a_failure(self.code)
        return self.called


def test_a_failure_says_how_the_call_failed() -> None:
    assert str(a_failure(StatusCode.ABORTED)) == "Datastore: ABORTED: no luck"


@pytest.mark.parametrize("code", sorted(INTERRUPTED, key=lambda code: code.name))
def test_what_was_interrupted_is_tried_again(code: StatusCode) -> None:
    assert repeat(Failing(ATTEMPTS - 1, code), after=INTERRUPTED) == ATTEMPTS


def test_after_a_while_nothing_is_tried_again() -> None:
    act = Failing(1, StatusCode.ABORTED)
    with pytest.raises(CallFailed):
        repeat(act, after=CONTENDED, within=0)
    assert act.called == 1


def test_the_last_failure_is_raised() -> None:
    act = Failing(ATTEMPTS, StatusCode.ABORTED)
    with pytest.raises(CallFailed):
        repeat(act, after=CONTENDED)
    assert act.called == ATTEMPTS


@pytest.mark.parametrize("code", [StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED, StatusCode.PERMISSION_DENIED])
def test_what_may_have_been_done_is_not_tried_again(code: StatusCode) -> None:
    act = Failing(1, code)
    with pytest.raises(CallFailed):
        repeat(act, after=CONTENDED)
    assert act.called == 1
