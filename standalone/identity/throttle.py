"""Callers that offer wrong credentials again and again are not listened to for a while. Pure: the time is given.

It spares the work and the log, not the secrecy: that of a token is its length. So whoever has a good one is let in all
the same, also from an address that others guess from.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.bounded import Bounded

BURST: Final = 10
"""Wrong credentials that an address may offer at once."""

REFILL: Final = timedelta(seconds=6)
"""After which it may offer one more."""


@dataclass(slots=True)
class _Bucket:
    spent: float
    at: datetime


class Throttle:
    """Counts what each address gets wrong, of the last `capacity` addresses."""

    def __init__(self, *, burst: int = BURST, refill: timedelta = REFILL, capacity: int = 10_000) -> None:
        self._burst = burst
        self._refill = refill
        self._buckets: Bounded[str, _Bucket] = Bounded(capacity)

    def is_over(self, peer: str, *, now: datetime) -> bool:
        """True while an address has nothing left to get wrong."""
        bucket = self._buckets.get(_neighbourhood(peer))
        return bucket is not None and self._spent(bucket, now) > self._burst - 1

    def count(self, peer: str, *, now: datetime) -> None:
        """An address has got something wrong."""
        key = _neighbourhood(peer)
        bucket = self._buckets.get(key) or _Bucket(0, now)
        self._buckets[key] = _Bucket(self._spent(bucket, now) + 1, now)

    def _spent(self, bucket: _Bucket, now: datetime) -> float:
        return max(0.0, bucket.spent - max(now - bucket.at, timedelta()) / self._refill)


def _neighbourhood(peer: str) -> str:
    """An IPv4 address, or the /64 that one machine has in IPv6."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
