"""Who may queue one more request: what is accepted is served soon, and nobody keeps all others out."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from broker.errors import Overloaded, TooManyRequests
from broker.model import Options, Sharing
from broker.policy import Policy

_SOONEST: Final = 1
_LATEST: Final = 30
"""Seconds, the bounds of `Retry-After`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What there is already when a request comes."""

    exchanges: int
    """Under way with its backend."""
    waiting: int
    """Those of them that no agent has taken yet."""
    oldest_wait: timedelta
    """For how long the first of them has waited."""
    of_user: int
    """Under way for its user, with whatever backend; 0 for nobody in particular."""


def require_room(load: Load, options: Options, policy: Policy, *, user: str, waiting_users: Iterable[str]) -> None:
    """Raises `TooManyRequests` where the user has all that is his, `Overloaded` where the backend has.

    Of a queue a user may have as much as is still free, so that with one user half of it is kept for others, with two a
    third, and there is always room for who comes next (dynamic thresholds, as switches share their buffers: Choudhury
    and Hahne, 1998). Nobody in particular, `user` empty, has no share: all such are one. `waiting_users` are those of
    the waiting requests; they are counted only where that can matter.
    """
    retry_after = retry_after_of(load)
    most = options.max_exchanges or policy.backend_exchanges
    queue = options.max_queue or policy.max_queue
    if user and load.of_user >= policy.user_exchanges:
        raise TooManyRequests(f"you have {load.of_user} requests under way", retry_after=retry_after)
    if load.exchanges >= most:
        raise Overloaded(f"the backend has {load.exchanges} requests under way", retry_after=retry_after)
    if load.waiting >= queue:
        raise Overloaded(f"{load.waiting} requests wait for the backend", retry_after=retry_after)
    if options.agents is not Sharing.STICKY and load.oldest_wait > policy.queue_wait:
        waited = load.oldest_wait.total_seconds()
        raise Overloaded(f"requests wait for the backend for {waited:.0f} seconds", retry_after=retry_after)
    free = queue - load.waiting
    if user and load.waiting >= free and sum(each == user for each in waiting_users) >= free:
        raise TooManyRequests("your requests have their share of the backend's queue", retry_after=retry_after)


def retry_after_of(load: Load) -> int:
    """In how many seconds there may be room: as long as the first in the queue has waited, so long will a new one."""
    return min(max(math.ceil(load.oldest_wait.total_seconds()), _SOONEST), _LATEST)
