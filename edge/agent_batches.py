"""The calls of version 2, the same in both shells: what a poll asks for, and the batch that answers it."""

import secrets
from collections.abc import Iterable
from typing import Final

from broker.model import HandedOut, LostPolls, Poll
from broker.policy import Policy
from edge.agent_calls import named_agent_of, poll_id_of, request_fields, takes_upgrades
from wire.batches import Entry, encode_end, encode_entry
from wire.headers import Headers
from wire.negotiation import accepts_batches, batch_media_type, decode_names, parse_capacity
from wire.protocol import CAPACITY, LOST_POLL, RECEIVED, RequestId

RECEIPT_FIELDS: Final = Headers([("Content-Type", "application/json")])


def poll_of(headers: Headers, policy: Policy, *, offers_only: bool = False) -> Poll | None:
    """What a poll of version 2 asks for; None for one of version 1. `offers_only`: see `Poll`. Raises
    `MalformedMessage`."""
    if not accepts_batches(headers.get("Accept")):
        return None
    return Poll(
        agent_id=named_agent_of(headers),
        poll_id=poll_id_of(headers),
        capacity=parse_capacity(headers.get(CAPACITY), most=policy.list_limit),
        takes_upgrades=takes_upgrades(headers),
        offers_only=offers_only,
    )


def lost_polls_of(headers: Headers) -> LostPolls:
    """The polls that an agent says it has lost. Raises `WireError`."""
    return LostPolls(
        decode_names(headers.get(LOST_POLL), field=LOST_POLL),
        frozenset(RequestId(name) for name in decode_names(headers.get(RECEIVED), field=RECEIVED)),
    )


def batch_of(handed: Iterable[HandedOut]) -> tuple[Headers, bytes]:
    """Requests as a batch: the fields of the answer to a poll, and its body."""
    boundary = secrets.token_hex(16)
    entries = [
        encode_entry(
            boundary, Entry(request_fields(each.exchange, is_whole=each.request is not None), each.request or b"")
        )
        for each in handed
    ]
    return Headers([("Content-Type", batch_media_type(boundary))]), b"".join((*entries, encode_end(boundary)))
