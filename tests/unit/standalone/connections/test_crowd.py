import pytest

from standalone.connections.crowd import Crowd, is_of_this_machine

SOMEWHERE = "192.0.2.1"


def test_connections_are_counted_by_address_until_they_end() -> None:
    crowd = Crowd()
    counts = [crowd.enter(SOMEWHERE), crowd.enter(SOMEWHERE), crowd.enter("2001:db8::1")]
    crowd.leave(SOMEWHERE)
    crowd.leave("2001:db8::1")

    assert counts == [1, 2, 1]
    assert [crowd.enter(SOMEWHERE), crowd.enter("2001:db8::1")] == [2, 1]


def test_who_speaks_for_many_is_not_counted() -> None:
    crowd = Crowd(lambda address: address == SOMEWHERE)

    assert [crowd.enter(SOMEWHERE), crowd.enter(SOMEWHERE)] == [0, 0]
    crowd.leave(SOMEWHERE)


def test_connections_on_their_way_are_counted_with_those_that_are_served() -> None:
    crowd = Crowd(lambda address: address == "")
    crowd.enter(SOMEWHERE)
    with crowd.arriving(SOMEWHERE) as first, crowd.arriving("") as second, crowd.arriving(SOMEWHERE) as third:
        assert (first, second, third) == ((1, 2), (2, 0), (3, 3))
        assert crowd.enter(SOMEWHERE) == 2
    with crowd.arriving(SOMEWHERE) as counts:
        assert counts == (1, 3)


@pytest.mark.parametrize(
    ("address", "is_here"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("", True), (SOMEWHERE, False), ("fe80::1%eth0", False)],
)
def test_this_machine_is_told_by_its_addresses(address: str, is_here: bool) -> None:
    assert is_of_this_machine(address) == is_here
