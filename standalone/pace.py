"""The least that a client must send: one byte now and then would otherwise keep a request under way for ever."""


class Pace:
    """How fast a body comes: at least `rate` bytes a second in each `window` seconds of waiting for it.

    The time in which nobody asks for more does not count: then it is the backend that is slow.
    """

    __slots__ = ("_bytes", "_least", "_waited", "_window")

    def __init__(self, *, rate: int, window: float) -> None:
        self._least = rate * window
        self._window = window
        self._waited = 0.0
        self._bytes = 0

    def keeps_up(self, size: int, seconds: float) -> bool:
        """Note that so many bytes came after so long a wait; False once they are too few."""
        self._waited += seconds
        self._bytes += size
        if self._waited < self._window:
            return True
        is_enough = self._bytes >= self._least
        self._waited, self._bytes = 0.0, 0
        return is_enough
