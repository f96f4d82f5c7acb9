"""Requests that a poll has only named, fetched in one call where the proxy gives several."""

import logging
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from typing import Final

from agent.messages import Listed, Request, id_of
from agent.proxy.calls import Calls
from agent.proxy.errors import ProxyError, require_success
from agent.proxy.request_batches import read_batch
from agent.transport.errors import TransportError
from wire.errors import MalformedMessage, WireError
from wire.negotiation import ACCEPT, MAX_NAMES_LENGTH, boundary_of, encode_names
from wire.protocol import REQUEST_ID, REQUEST_PATH, RequestId

logger = logging.getLogger(__name__)

_RETRIES: Final = timedelta()
"""What does not come so is fetched one by one, and that is tried again."""


def fetch_together(calls: Calls, listed: Sequence[Listed], *, most: int) -> list[Listed]:
    """What is listed, with requests in the place of up to `most` names; without those that this agent does not get.

    A name remains where the request has to be fetched alone. So do all where the call fails: each fetch then says why.
    """
    names = _that_fit([each for each in listed if not isinstance(each, Request)], most)
    if len(names) < 2:
        return list(listed)
    try:
        fetched = calls.retried(lambda: _fetch(calls, names), within=_RETRIES)
    except (ProxyError, TransportError, WireError) as exc:
        logger.debug("%d requests are fetched one by one: %s", len(names), exc)
        return list(listed)
    asked, found = set(names), {id_of(each): each for each in fetched}
    return [found.get(id_of(each), each) for each in listed if id_of(each) in found or id_of(each) not in asked]


def _that_fit(names: Sequence[RequestId], most: int) -> list[RequestId]:
    """As many of them, from the first on, as one call may name."""
    length, fitting = -1, []
    for name in names[:most]:
        length += 1 + len(name)
        if length > MAX_NAMES_LENGTH:
            break
        fitting.append(name)
    return fitting


def _fetch(calls: Calls, names: Sequence[RequestId]) -> list[Listed]:
    head = calls.head("GET", REQUEST_PATH, ("Accept", ACCEPT), (REQUEST_ID, encode_names(names)))
    fetched: list[Listed] = []
    with closing(calls.call(head)) as reply:
        require_success(reply.head, target=head.target)
        if reply.head.status == 204:
            reply.read(0)
            return fetched
        boundary = boundary_of(reply.head.headers.get("Content-Type"))
        if boundary is None:
            raise MalformedMessage("the answer to a fetch of several requests is no batch")
        read_batch(reply, boundary, fetched)
    return fetched
