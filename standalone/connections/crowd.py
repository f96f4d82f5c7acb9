"""How many connections there are from each address."""

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def is_of_this_machine(address: str) -> bool:
    """True for a loopback address, and for the other side of a unix socket, which has none."""
    try:
        return not address or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class Crowd:
    """Counts connections by the address that they come from.

    An address that `speaks_for_many` is not counted: what stands there, on this machine or as a trusted peer, brings
    the connections of others, and has to limit them itself. Whom a request comes from is known with its head alone.
    """

    def __init__(self, speaks_for_many: Callable[[str], bool] = is_of_this_machine) -> None:
        self._speaks_for_many = speaks_for_many
        self._counts: Counter[str] = Counter()
        self._arriving = 0
        self._arriving_from: Counter[str] = Counter()

    @contextmanager
    def arriving(self, address: str) -> Iterator[tuple[int, int]]:
        """For the time in which a connection from there is on its way in, and has not entered: how many are, and how
        many there are from there with those that have entered, 0 where nobody counts."""
        is_counted = not self._speaks_for_many(address)
        self._arriving += 1
        self._arriving_from[address] += 1
        try:
            yield self._arriving, self._arriving_from[address] + self._counts[address] if is_counted else 0
        finally:
            self._arriving -= 1
            _take_one(self._arriving_from, address)

    def enter(self, address: str) -> int:
        """One more from there; how many there are now, 0 where nobody counts."""
        if self._speaks_for_many(address):
            return 0
        self._counts[address] += 1
        return self._counts[address]

    def leave(self, address: str) -> None:
        """One has ended; for each `enter`, once."""
        _take_one(self._counts, address)


def _take_one(counts: Counter[str], address: str) -> None:
    """One less, where there is one; what is none is not kept."""
    counts[address] -= 1
    if counts[address] <= 0:
        del counts[address]
