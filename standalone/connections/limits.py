"""What connections may take, and what a client is told whose connection is one too many."""

from dataclasses import dataclass
from typing import Final, Literal

from edge.errors import Failure
from standalone.settings.limits import HEAD_BYTES
from wire.errors import MessageTooLarge

TOO_MANY_CONNECTIONS: Final = Failure(
    status=503,
    reason="overloaded",
    party="proxy",
    text="The proxy has as many connections as it takes: try again soon.",
    headers=(("Retry-After", "5"),),
)
TOO_MANY_FROM_THERE: Final = Failure(
    status=429,
    reason="overloaded",
    party="client",
    text="There are as many connections from this address as the proxy takes: try again soon.",
    headers=(("Retry-After", "5"),),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a connection may take, and how many there may be; times in seconds."""

    url_bytes: int = 16 << 10
    """Of a request's target, as it was sent."""
    head_bytes: int = HEAD_BYTES
    """As they come, from the end of the request before to the empty line; of trailers without white space."""
    head_fields: int = 100
    """Of a head; of trailers likewise."""
    head_time: float = 20
    """From the start of a connection, or the first byte after an answer, to the end of the head."""
    write_time: float = 30
    """How long a client may not read while an answer waits."""
    read_rate: int = 240
    """Bytes a second that it has to read within each such time, or else all that waits; 0 for any."""
    linger_time: float = 5
    """How long a client may still send behind an answer that ends the connection, so that it can read that answer."""
    connections: int = 10_000
    connections_per_address: int = 1000
    pipeline: int = 32
    """Requests that a client may send ahead of their answers."""
    requests: int = 10_000
    """After so many on one connection it ends with the answer to the last."""

    def url_too_long(self) -> MessageTooLarge:
        """The error for a target over the limit, which it names, as the others do."""
        return MessageTooLarge(f"URL over {self.url_bytes} bytes", status_hint=414)

    def too_long(self, part: Literal["head", "trailers"]) -> MessageTooLarge:
        """The error for more bytes of fields than the limit."""
        return MessageTooLarge(f"request {part} over {self.head_bytes} bytes", status_hint=431)

    def too_many_fields(self) -> MessageTooLarge:
        """The error for more fields than the limit."""
        return MessageTooLarge(f"over {self.head_fields} fields in a request", status_hint=431)

    def has_room(self, connections: int, from_there: int) -> bool:
        """False where there are far too many, in all or from one address: even to say so would cost too much."""
        return not (
            _is_far_over(self.connections, connections) or _is_far_over(self.connections_per_address, from_there)
        )

    def refusal(self, connections: int, from_there: int) -> Failure | None:
        """What the last one of so many is told; None where it may stay."""
        if connections > self.connections:
            return TOO_MANY_CONNECTIONS
        if from_there > self.connections_per_address:
            return TOO_MANY_FROM_THERE
        return None


def _is_far_over(limit: int, count: int) -> bool:
    return count > limit + max(limit // 10, 1)
