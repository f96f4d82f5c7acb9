"""The request IDs taken lately."""

from agent.seen import SeenIds
from wire.protocol import RequestId

A, B, C = RequestId("a"), RequestId("b"), RequestId("c")


def test_an_id_is_new_once() -> None:
    seen = SeenIds(2)
    assert (seen.add(A), seen.add(A)) == (True, False)


def test_the_oldest_is_forgotten_when_there_are_too_many() -> None:
    seen = SeenIds(2)
    assert [seen.add(each) for each in (A, B, C, A)] == [True] * 4


def test_an_id_that_is_asked_for_is_not_the_oldest() -> None:
    seen = SeenIds(2)
    assert [seen.add(each) for each in (A, B, A, C, A)] == [True, True, False, True, False]


def test_a_discarded_id_is_new_again() -> None:
    seen = SeenIds(2)
    seen.add(A)
    seen.discard(A)
    seen.discard(B)
    assert seen.add(A)
