"""`standalone.identity.signed_out`: sessions that were ended before their time."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

from standalone.identity.signed_out import SignedOut
from tests.fakes.clock import NOON

HOUR = timedelta(hours=1)


class Kept:
    """Sign-outs that outlive a `SignedOut`."""

    def __init__(self) -> None:
        self.ends: dict[str, datetime] = {}

    def load(self) -> Mapping[str, datetime]:
        return self.ends

    def keep(self, session_id: str, *, ends: datetime, now: datetime) -> None:
        self.ends[session_id] = ends


def sign_out(signed_out: SignedOut, session_id: str, *, ends: datetime = NOON + HOUR, now: datetime = NOON) -> None:
    asyncio.run(signed_out.add(session_id, ends=ends, now=now))


def test_who_has_signed_out_is_remembered_as_long_as_the_cookie_could_last() -> None:
    signed_out = SignedOut()
    sign_out(signed_out, "s")

    assert ("s" in signed_out, "t" in signed_out) == (True, False)
    sign_out(signed_out, "t", ends=NOON + 3 * HOUR, now=NOON + 2 * HOUR)
    assert ("s" in signed_out, "t" in signed_out) == (False, True)


def test_so_many_are_remembered_and_no_more() -> None:
    signed_out = SignedOut(capacity=2)
    for name in "abc":
        sign_out(signed_out, name)

    assert [name in signed_out for name in "abc"] == [False, True, True]


def test_what_is_kept_counts_after_a_restart() -> None:
    kept = Kept()
    sign_out(SignedOut(kept), "s")

    assert ("s" in SignedOut(kept), "s" in SignedOut()) == (True, False)
