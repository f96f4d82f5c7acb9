"""The header fields of an agent's calls, the same in both shells: who calls, of which request, and what it is told."""

from broker.model import Exchange
from wire.errors import MalformedMessage
from wire.headers import Headers
from wire.negotiation import decode_names
from wire.protocol import (
    AGENT_ID,
    BACKEND_ID,
    CAPABILITIES,
    FORWARDED,
    FORWARDED_SET,
    MAX_ENTRIES,
    POLL_ID,
    REQUEST_ID,
    REQUEST_MEDIA_TYPE,
    START_TIME,
    TO_FETCH_MEDIA_TYPE,
    TUNNEL,
    UPGRADE,
    USER_ID,
    BackendId,
    RequestId,
    format_start_time,
    is_valid_request_id,
)


def backend_id_of(headers: Headers) -> BackendId:
    """The backend that the agent serves. Raises `MalformedMessage`."""
    return BackendId(_named(headers, BACKEND_ID))


def agent_id_of(headers: Headers) -> str:
    """What the agent calls itself; empty for one that does not, like the original's. Raises `MalformedMessage`."""
    return _named(headers, AGENT_ID) if AGENT_ID in headers else ""


def named_agent_of(headers: Headers) -> str:
    """The agent, where it has to have a name. Raises `MalformedMessage`."""
    return _named(headers, AGENT_ID)


def poll_id_of(headers: Headers) -> str:
    """The name of a poll of version 2. Raises `MalformedMessage`."""
    return _named(headers, POLL_ID)


def request_id_of(headers: Headers) -> RequestId:
    """The request that the call is about. Raises `MalformedMessage`."""
    return RequestId(_named(headers, REQUEST_ID))


def request_ids_of(headers: Headers) -> frozenset[RequestId]:
    """The requests that a fetch of several is about. Raises `WireError`."""
    names = decode_names(headers.get(REQUEST_ID), field=REQUEST_ID)
    if not 1 <= len(names) <= MAX_ENTRIES:
        raise MalformedMessage(f"{REQUEST_ID}: {len(names)} names, not 1 to {MAX_ENTRIES}")
    return frozenset(map(RequestId, names))


def takes_upgrades(headers: Headers) -> bool:
    """True for a poll of an agent that opens tunnels."""
    words = ",".join(headers.get_all(CAPABILITIES)).lower().split(",")
    return TUNNEL in (word.strip() for word in words)


def request_fields(exchange: Exchange, *, is_whole: bool = True) -> Headers:
    """What the agent is told of a request beside its bytes; nothing of a user who is not known. Unless it `is_whole`,
    the request is only named in a batch."""
    user = ((USER_ID, exchange.end_user),) if exchange.end_user else ()
    return Headers(
        (
            ("Content-Type", REQUEST_MEDIA_TYPE if is_whole else TO_FETCH_MEDIA_TYPE),
            (REQUEST_ID, exchange.request_id),
            *user,
            (START_TIME, format_start_time(exchange.started)),
            # What `broker.forwarding` has done to every request that is stored.
            (FORWARDED, FORWARDED_SET),
            *(((UPGRADE, exchange.upgrade),) if exchange.upgrade else ()),
        )
    )


def _named(headers: Headers, name: str) -> str:
    # IDs of backends that the original registered may hold any character that a header field can carry.
    value = headers.get(name) or ""
    if not is_valid_request_id(value):
        raise MalformedMessage(f"{name}: missing, or not 1 to 256 visible ASCII characters")
    return value
