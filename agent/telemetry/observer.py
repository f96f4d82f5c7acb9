"""The measure points of the agent: what is called when something happens that an operator wants to see.

Called in the threads that serve: an observer does no more than count. Nothing it is told is a secret.
"""

from dataclasses import dataclass
from typing import Final, Protocol


@dataclass(frozen=True, slots=True)
class FinishedExchange:
    """One request that is over."""

    request_id: str
    method: str
    path: str
    """Without the query, and of a bounded length."""
    status: int
    size: int
    """Bytes of the answer's body that have passed."""
    seconds: float
    reason: str
    """Why it was not the backend's whole answer, or why nobody took it; empty when all went well."""


class Observer(Protocol):
    """What happens at one backend of the agent; called from any thread, raises nothing."""

    def exchange_began(self) -> None:
        """A request was fetched; `exchange_ended` follows for each."""

    def exchange_ended(self, finished: FinishedExchange) -> None: ...

    def fetch_failed(self) -> None:
        """A request that was listed did not come, or not as HTTP; not: another agent has it."""

    def poll_began(self) -> None: ...

    def poll_answered(self) -> None:
        """The proxy listed what is pending, if only nothing. A poll that runs out of time has no answer."""

    def poll_failed(self, why: str) -> None: ...

    def version_found(self, version: int) -> None:
        """The proxy speaks this version of the protocol; told when it is known first, and when it has changed."""

    def call_retried(self) -> None:
        """A call to the proxy is made once more."""

    def shim_session_opened(self) -> None: ...

    def shim_session_closed(self) -> None: ...

    def tunnel_opened(self) -> None:
        """A websocket goes through a tunnel; `tunnel_closed` follows for each."""

    def tunnel_closed(self) -> None: ...

    def health_changed(self, why_not: str) -> None:
        """The backend is healthy (`why_not` is empty) or not."""

    def draining_began(self) -> None:
        """No more is asked for."""


class Unobserved:
    """The observer that does nothing."""

    def exchange_began(self) -> None: ...
    def exchange_ended(self, finished: FinishedExchange) -> None: ...
    def fetch_failed(self) -> None: ...
    def poll_began(self) -> None: ...
    def poll_answered(self) -> None: ...
    def poll_failed(self, why: str) -> None: ...
    def version_found(self, version: int) -> None: ...
    def call_retried(self) -> None: ...
    def shim_session_opened(self) -> None: ...
    def shim_session_closed(self) -> None: ...
    def tunnel_opened(self) -> None: ...
    def tunnel_closed(self) -> None: ...
    def health_changed(self, why_not: str) -> None: ...
    def draining_began(self) -> None: ...


UNOBSERVED: Final = Unobserved()
