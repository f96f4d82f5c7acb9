"""The protocol between proxy and agent: names, paths, limits and the small encodings.

`docs/protocol.md` is the prose; the original is google/inverting-proxy, `agent/utils/utils.go`.
"""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NewType

from wire.errors import MalformedMessage, MessageTooLarge

RequestId = NewType("RequestId", str)
BackendId = NewType("BackendId", str)

PENDING_PATH: Final = "/agent/pending"
REQUEST_PATH: Final = "/agent/request"
RESPONSE_PATH: Final = "/agent/response"
TUNNEL_PATH: Final = "/agent/tunnel"

BACKEND_ID: Final = "X-Inverting-Proxy-Backend-ID"
REQUEST_ID: Final = "X-Inverting-Proxy-Request-ID"
USER_ID: Final = "X-Inverting-Proxy-User-ID"
START_TIME: Final = "X-Inverting-Proxy-Request-Start-Time"
VM_ID: Final = "X-Inverting-Proxy-VM-ID"
AGENT_ID: Final = "X-Inverting-Proxy-Agent-ID"
ERROR: Final = "X-Inverting-Proxy-Error"
TRACE_ID: Final = "X-Inverting-Proxy-Trace-ID"
FORWARDED: Final = "X-Inverting-Proxy-Forwarded"
POLL_ID: Final = "X-Inverting-Proxy-Poll-ID"
CAPACITY: Final = "X-Inverting-Proxy-Capacity"
LOST_POLL: Final = "X-Inverting-Proxy-Lost-Poll"
RECEIVED: Final = "X-Inverting-Proxy-Received"
POLLS: Final = "X-Inverting-Proxy-Polls"
FETCHES: Final = "X-Inverting-Proxy-Fetches"
CAPABILITIES: Final = "X-Inverting-Proxy-Capabilities"
UPGRADE: Final = "X-Inverting-Proxy-Upgrade"
GONE: Final = "X-Inverting-Proxy-Gone"

OWNED_PREFIX: Final = "x-inverting-proxy-"
"""Every field of ours begins so, in the form that `wire.headers.normalise` gives."""

REQUEST_MEDIA_TYPE: Final = "application/http; msgtype=request"
RESPONSE_MEDIA_TYPE: Final = "application/http; msgtype=response"
TO_FETCH_MEDIA_TYPE: Final = "application/http; msgtype=request; fetch=required"
"""Of an entry without its request, which is too long for a batch, not whole yet, or no matter for one."""

NO_REQUEST: Final = "-"
"""A Request-ID that no request has, where a call speaks of none: the original takes a call without one for a poll."""

FORWARDED_SET: Final = "set"
"""The value of `FORWARDED`: the proxy has dropped the client's own `Forwarded` and `X-Forwarded-*`, and set its own."""

TUNNEL: Final = "tunnel"
"""The word in `CAPABILITIES` of an agent that opens tunnels: it may be offered requests that want to upgrade."""

TUNNEL_PROTOCOL: Final = "inverting-proxy-tunnel"
"""What an agent names in `Upgrade` when it opens a tunnel."""

IDEMPOTENT_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""The methods that may be repeated without the user asking for it (RFC 9110 section 9.2.2)."""

MAX_PENDING_BYTES: Final = 1 << 20
"""The longest list of pending requests that an agent reads; the limit of the original's agent."""

MAX_HEAD_BYTES: Final = 1 << 16
"""The longest head (request or status line and all fields) of a message inside the protocol."""

MAX_ENTRIES: Final = 100
"""The most entries in a batch."""

MAX_ENTRY_BYTES: Final = 1 << 20
"""The longest message in a batch."""

MAX_BATCH_BYTES: Final = 8 << 20
"""The most bytes that all messages of a batch have together."""

MAX_ID_LENGTH: Final = 256

_TRACE_LENGTH: Final = 8  # 48 bits of a base64 ID: enough to find a line, and 80 bits short of the ID

# A backend ID is also one segment of a URL path (`/api/backends/ID`), a header value and a Datastore key name:
# no slash, nothing that a URL or a shell treats specially, and never "." or "..".
_BACKEND_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~@:+=,-]{0,255}")
_VISIBLE = re.compile(r"[!-~]{1,256}")

# RFC 3339 with any number of decimals: Go writes up to nine, `datetime` holds six.
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


def is_valid_backend_id(text: str) -> bool:
    """True for an ID that a new backend may have: 1 to 256 of letters, digits and `._~@:+=,-`, beginning with one
    of the first two."""
    return _BACKEND_ID.fullmatch(text) is not None


def is_valid_request_id(text: str) -> bool:
    """True for 1 to 256 visible ASCII characters: what any proxy of the protocol may have made."""
    return _VISIBLE.fullmatch(text) is not None


def trace_of(request_id: str) -> str:
    """The part of a request ID that logs and error pages may show: it names the request, and opens nothing."""
    return request_id[:_TRACE_LENGTH]


def encode_pending(request_ids: Sequence[RequestId]) -> bytes:
    """The body of an answer to a poll: a JSON list of request IDs."""
    return json.dumps(list(request_ids), separators=(",", ":")).encode("ascii")


def decode_pending(body: bytes) -> list[RequestId]:
    """The request IDs in the body of an answer to a poll; the original may write `null` for none.

    Raises `MessageTooLarge` over `MAX_PENDING_BYTES`, `MalformedMessage` for anything but a list of request IDs.
    """
    if len(body) > MAX_PENDING_BYTES:
        raise MessageTooLarge(f"list of pending requests: {len(body)} bytes, at most {MAX_PENDING_BYTES} are read")
    try:
        decoded: object = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise MalformedMessage(f"list of pending requests: not JSON: {exc}") from exc
    if decoded is None:
        return []
    if not isinstance(decoded, list):
        raise MalformedMessage("list of pending requests: not a JSON list")
    for item in decoded:
        if not isinstance(item, str) or not is_valid_request_id(item):
            raise MalformedMessage("list of pending requests: an item is not a request ID")
    return [RequestId(item) for item in decoded]


def format_start_time(moment: datetime) -> str:
    """An aware time as RFC 3339 in UTC, with six decimals."""
    # Not strftime: its %Y does not pad years on Linux.
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_start_time(text: str) -> datetime:
    """An RFC 3339 time with up to nine decimals, as an aware UTC time; what `datetime` cannot hold is cut off.

    Raises `MalformedMessage`.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise MalformedMessage(f"{START_TIME}: not an RFC 3339 time")
    day, clock, fraction, zone = match.groups()
    offset = "+00:00" if zone in "Zz" else zone
    try:
        return datetime.fromisoformat(f"{day}T{clock}.{(fraction or '').ljust(6, '0')[:6]}{offset}").astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise MalformedMessage(f"{START_TIME}: {exc}") from exc
