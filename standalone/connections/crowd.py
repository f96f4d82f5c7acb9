"""How many connections there are from each address."""

import ipaddress
from collections import Counter
from collections.abc import Callable


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

    def enter(self, address: str) -> int:
        """One more from there; how many there are now, 0 where nobody counts."""
        if self._speaks_for_many(address):
            return 0
        self._counts[address] += 1
        return self._counts[address]

    def leave(self, address: str) -> None:
        """One has ended; for each `enter`, once."""
        if self._counts[address] > 1:
            self._counts[address] -= 1
        else:
            del self._counts[address]
