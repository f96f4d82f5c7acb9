from typing import Final

import pytest

from standalone.connections.limits import TOO_MANY_CONNECTIONS, TOO_MANY_FROM_THERE, Limits

LIMITS: Final = Limits(connections=100, connections_per_address=10)


@pytest.mark.parametrize(
    ("connections", "from_there", "reason"),
    [(100, 10, None), (101, 1, TOO_MANY_CONNECTIONS), (50, 11, TOO_MANY_FROM_THERE), (101, 11, TOO_MANY_CONNECTIONS)],
)
def test_one_too_many_is_told_what_there_are_too_many_of(connections: int, from_there: int, reason: object) -> None:
    assert LIMITS.refusal(connections, from_there) is reason


@pytest.mark.parametrize(
    ("connections", "from_there", "expected"), [(110, 1, True), (111, 1, False), (50, 11, True), (50, 12, False)]
)
def test_up_to_a_tenth_more_are_told_so_and_no_others(connections: int, from_there: int, expected: bool) -> None:
    assert LIMITS.has_room(connections, from_there) == expected


def test_those_of_an_address_that_nobody_counts_are_limited_in_all_alone() -> None:
    assert LIMITS.refusal(100, 0) is None
