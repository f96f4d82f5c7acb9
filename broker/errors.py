"""What can go wrong with an exchange. `reason` names it for machines: the value of `X-Inverting-Proxy-Error`.

BrokerError
    UnknownBackend      no backend is registered (for this user, host and path, or under this ID)
    FixedBackend        a backend that stands in the settings, and is not changed through the API
    UnknownRequest      no such exchange: delivered, given up, or never there
    DuplicateRequest    a request ID used twice
    NotAllowed          the caller proved no identity, or not one that may do this
    BackendOffline      registered, but no agent has asked lately, or none took the request
    Overloaded          a bound is reached; try later
    TooManyRequests     the user has all that is his; try later
    ClaimedElsewhere    another agent has this exchange
    ConflictingBytes    a repeated part differs from what is stored, or leaves a gap
    BrokenAnswer        the answer ended early or was malformed
    NoAnswer            the time for the answer is over
    StoreUnavailable    the store's service failed
"""

import re
from typing import Final

_REASON: Final = re.compile(r"[a-z0-9-]{1,64}")


def is_reason(value: str) -> bool:
    """True for a word that may stand in `X-Inverting-Proxy-Error`."""
    return _REASON.fullmatch(value) is not None


class BrokerError(Exception):
    """Base of all errors of the broker."""

    reason: str


class UnknownBackend(BrokerError):
    reason = "no-backend"


class FixedBackend(BrokerError):
    reason = "fixed-backend"


class UnknownRequest(BrokerError):
    reason = "unknown-request"


class DuplicateRequest(BrokerError):
    reason = "duplicate-request"


class NotAllowed(BrokerError):
    """`authenticated` tells a caller without identity (401) from one with the wrong identity (403). One without is
    `challenged` to show it (RFC 9110 section 11.6.1), unless there is nothing that he could show: then it is 403, too.
    """

    reason = "not-allowed"

    def __init__(self, text: str, *, authenticated: bool, challenged: bool = True) -> None:
        super().__init__(text)
        self.authenticated = authenticated
        self.challenged = challenged


class BackendOffline(BrokerError):
    reason = "no-agent"


class Overloaded(BrokerError):
    """`retry_after`: in how many seconds to try again, where that is known."""

    reason = "overloaded"

    def __init__(self, text: str, *, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class TooManyRequests(BrokerError):
    """`retry_after` as in `Overloaded`."""

    reason = "too-many-requests"

    def __init__(self, text: str, *, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class ClaimedElsewhere(BrokerError):
    reason = "claimed-elsewhere"


class ConflictingBytes(BrokerError):
    reason = "conflicting-bytes"


class BrokenAnswer(BrokerError):
    """`reason`: why the exchange failed, where that is known more closely; what is not a word counts as unknown."""

    reason = "broken-answer"

    def __init__(self, text: str, *, reason: str = "") -> None:
        super().__init__(text)
        if is_reason(reason):
            self.reason = reason


class NoAnswer(BrokerError):
    reason = "timeout"


class StoreUnavailable(BrokerError):
    reason = "store-unavailable"
