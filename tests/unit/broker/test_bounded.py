"""`stores.bounded`: so many keys, and which go."""

from broker.bounded import Bounded


def test_beyond_its_capacity_it_forgets_what_was_set_longest_ago() -> None:
    bounded: Bounded[str, int] = Bounded(2)
    for number, name in enumerate(("one", "two", "one", "three")):
        bounded[name] = number
    assert bounded == {"one": 2, "three": 3}
