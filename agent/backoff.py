"""How long to wait before the n-th retry: exponential, with full jitter.

Full jitter (a random share of the whole delay) spreads agents that lost the same proxy at the same moment best: see
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
"""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double from `first` to `longest`."""

    first: timedelta
    longest: timedelta

    def delay(self, attempt: int, *, jitter: float) -> timedelta:
        """The wait before retry number `attempt` (from 0); `jitter` is the random share, 0 to 1."""
        # 2**63 half-seconds are longer than any limit: the exponent is bounded, so that no number overflows.
        doubled = self.first.total_seconds() * 2.0 ** min(attempt, 63)
        return timedelta(seconds=min(doubled, self.longest.total_seconds()) * jitter)


POLLING = Backoff(timedelta(seconds=0.5), timedelta(seconds=30))
"""Between polls that fail: a proxy that is down is not hammered."""

CALLING = Backoff(timedelta(seconds=0.1), timedelta(seconds=2))
"""Between attempts to fetch a request or post an answer: a client is waiting."""
