"""Sessions that were ended before their time, so that a copy of their cookie opens nothing."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol


class SignOuts(Protocol):
    """Where they outlive the process: `stores.sqlite.sign_outs`. Safe to call from several threads."""

    def load(self) -> Mapping[str, datetime]:
        """When each of these sessions would have ended by itself; in the order in which they were kept."""
        ...

    def keep(self, session_id: str, *, ends: datetime, now: datetime) -> None:
        """Keep one until then. Never raises: what cannot be kept counts until the process ends."""
        ...


class SignedOut:
    """The last `capacity` of them, for as long as they could have lasted; without `kept`, in this process alone."""

    def __init__(self, kept: SignOuts | None = None, *, capacity: int = 100_000) -> None:
        self._kept = kept
        self._capacity = capacity
        self._ends = OrderedDict(kept.load() if kept else {})

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._ends

    async def add(self, session_id: str, *, ends: datetime, now: datetime) -> None:
        """A session that could have lasted to `ends` is over now; returns when that is kept."""
        self._ends[session_id] = ends
        while self._ends and (len(self._ends) > self._capacity or next(iter(self._ends.values())) <= now):
            self._ends.popitem(last=False)
        if self._kept is not None:
            await asyncio.to_thread(self._kept.keep, session_id, ends=ends, now=now)
