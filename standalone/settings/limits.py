"""[limits]: how much of what."""

from dataclasses import dataclass
from typing import ClassVar, Final

from standalone.settings.keys import count, size
from standalone.settings.table import Table
from wire.protocol import MAX_HEAD_BYTES

HEAD_BYTES: Final = MAX_HEAD_BYTES - (4 << 10)
"""The longest head that is taken. A head grows on its way to the agent: by a space behind each colon that has none, and
by what is said of the client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings(Table):
    """How much of what."""

    body_bytes: int
    body_rate: int
    read_rate: int
    url_bytes: int
    head_bytes: int
    head_fields: int
    connections: int
    connections_per_address: int
    requests_per_connection: int
    pipeline: int
    exchanges: int
    backend_exchanges: int
    user_exchanges: int
    queue: int
    websockets: int
    window_bytes: int
    memory_bytes: int

    NAME: ClassVar = "limits"
    ORDERS: ClassVar = (
        ("url-bytes", "head-bytes"),
        ("connections-per-address", "connections"),
        ("queue", "backend-exchanges", "exchanges"),
        ("user-exchanges", "exchanges"),
        ("window-bytes", "memory-bytes"),
    )
    KEYS: ClassVar = (
        size("body-bytes", 100 << 30, "The longest body of a request: then 413."),
        count(
            "body-rate",
            240,
            "The fewest bytes a second of a request's body, in each `timeouts.idle` of waiting for it: then 408. "
            "0: any.",
            least=0,
        ),
        count(
            "read-rate",
            240,
            "The fewest bytes a second that a client reads, in each `timeouts.write` for which some wait: then its "
            "connection ends. 0: any.",
            least=0,
        ),
        size(
            "url-bytes",
            16 << 10,
            "The longest target of a request, path and query most often: then 414.",
            least=1 << 10,
            most=HEAD_BYTES,
        ),
        size(
            "head-bytes",
            HEAD_BYTES,
            "The longest head of a request, its first line and all its fields, as it is sent: then 431.",
            least=1 << 10,
            most=HEAD_BYTES,
        ),
        count("head-fields", 100, "The most fields in a head, and in trailers: then 431.", least=10, most=1000),
        count(
            "connections",
            10_000,
            "Connections at a time, of users and agents together: then 503. Those that shake hands (TLS) count, too.",
        ),
        count(
            "connections-per-address",
            1000,
            "Of them, from one address: then 429. Those of this machine and of trusted peers are not counted.",
        ),
        count(
            "requests-per-connection",
            10_000,
            "After so many, a connection ends with the answer to the last.",
        ),
        count(
            "pipeline",
            32,
            "Requests that are read from one connection ahead of their answers; further ones wait.",
            most=1000,
        ),
        count("exchanges", 10_000, "Requests under way at a time: then 503."),
        count("backend-exchanges", 10_000, "Of them, with one backend whose registration does not say: then 503."),
        count("user-exchanges", 1_000, "Of them, for one user who is known: then 429."),
        count("queue", 1_000, "Of a backend's, those that no agent has taken yet: then 503."),
        count("websockets", 5_000, "Websockets at a time: then 503. Each takes two connections beside `connections`."),
        size("window-bytes", 1 << 20, "How much of each body is in memory at a time.", least=1 << 18, most=1 << 30),
        size(
            "memory-bytes",
            1 << 28,
            "How much of all bodies together: the fuller it is, the less of each, and at last 503 to new requests.",
            least=1 << 22,
        ),
    )
