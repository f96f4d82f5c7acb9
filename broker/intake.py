"""From the head of a user's request to a queued exchange: what both shells do before any body byte moves."""

from collections.abc import Callable, Container
from typing import NamedTuple

from broker.affinity import affinity_of
from broker.forwarding import Client, forwarded_request, in_origin_form
from broker.hosts import host_of
from broker.model import Exchange, Sharing
from broker.policy import Policy
from broker.routing import choose_backend, find_candidates, path_of
from broker.store import Store
from broker.waiting import Clock
from wire.errors import MalformedMessage, MessageTooLarge
from wire.http1 import RequestHead, serialize_request_head
from wire.protocol import MAX_HEAD_BYTES, RequestId


class Intake(NamedTuple):
    """A request that may be queued: its exchange, and the head that its agent gets."""

    exchange: Exchange
    head: bytes


def admit_request(
    store: Store,
    clock: Clock,
    policy: Policy,
    head: RequestHead,
    *,
    end_user: str,
    client: Client,
    new_id: Callable[[], RequestId],
    named: Container[str] = (),
) -> Intake:
    """Choose the backend, and make the exchange and the head that travels; nothing is stored yet.

    `end_user` is the verified identity, or empty; `named` are the hosts that backends name, for whomever they are, as
    far as the caller knows. Raises `UnknownBackend`, `BackendOffline`, `MessageTooLarge` (413 for an announced body
    over `policy.max_body_bytes`, 431 for the head), `MalformedMessage` for a head that HTTP does not allow,
    `StoreUnavailable`.
    """
    if isinstance(head.length, int) and head.length > policy.max_body_bytes:
        raise too_large(policy)
    head = in_origin_form(head)
    raw = _serialize(forwarded_request(head, client))
    host, path = host_of(client.host or head.headers.get("Host") or ""), path_of(head.target)
    candidates = find_candidates(store.find_backends(end_user), user=end_user, host=host, path=path, named=named)
    now = clock.now()
    statuses = store.get_statuses([backend.backend_id for backend in candidates])
    backend = choose_backend(candidates, statuses, path=path, now=now, policy=policy)
    store.touch_backend(backend.backend_id, used=now)
    exchange = Exchange(
        request_id=new_id(),
        backend_id=backend.backend_id,
        end_user=end_user,
        method=head.method,
        started=now,
        expires=now + policy.exchange_ttl,
        affinity=affinity_of(head.headers, end_user) if backend.options.agents is Sharing.STICKY else None,
    )
    return Intake(exchange, raw)


def _serialize(head: RequestHead) -> bytes:
    if head.method == "CONNECT":
        # RFC 9110 section 9.3.6: a 2xx would make a tunnel of a connection that an agent uses for other users too.
        raise MalformedMessage("method CONNECT: there are no tunnels here")
    raw = serialize_request_head(head)
    if len(raw) > MAX_HEAD_BYTES:
        # The client may have sent fewer: `Host` alone comes back as `X-Forwarded-Host`.
        raise MessageTooLarge(f"request head over {MAX_HEAD_BYTES} bytes, with what the proxy adds", status_hint=431)
    return raw


def too_large(policy: Policy) -> MessageTooLarge:
    """The error for a request body over the limit; it names the limit."""
    return MessageTooLarge(f"request body over the limit of {policy.max_body_bytes} bytes")
