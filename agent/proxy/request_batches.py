"""Requests in a batch, as they arrive: the answer to a poll of version 2, or to a fetch of several."""

from agent.messages import Listed
from agent.proxy.inner_request import read_entry, request_beside
from agent.transport.client import Reply
from wire.batches import REQUESTS, BatchParser, Entry
from wire.errors import WireError


def read_batch(reply: Reply, boundary: str, listed: list[Listed]) -> None:
    """Add what has come, as it comes. Raises `TransportError` and `WireError`."""
    parser = BatchParser(boundary, REQUESTS)
    for event in reply.events():
        if isinstance(event, bytes):
            listed += map(_listed_of, parser.feed(event))
    parser.close()


def _listed_of(entry: Entry) -> Listed:
    """The request of an entry; its ID where it has to be fetched, which is also what shows why it is no request."""
    if entry.is_to_fetch:
        return entry.request_id
    try:
        head, body = read_entry(entry.message)
    except WireError:
        return entry.request_id
    return request_beside(entry.headers, entry.request_id, head, body)
