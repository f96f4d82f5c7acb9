"""A gRPC server between Datastore and programs, real processes among them, that notes each call on its way.

How a call is read and counted stands here alone: for tests of the store, for budgets, for benchmarks.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any, Final, NamedTuple

import grpc
from google.cloud.datastore_v1.services.datastore.transports import grpc as transports
from google.cloud.datastore_v1.types import datastore as api
from google.cloud.datastore_v1.types import query as api_query
from google.cloud.ndb import Client

_THREADS: Final = 64


class Call(NamedTuple):
    """A call by its method, and the kinds that it is about: of each entity that is looked up or changed, or of the
    query."""

    method: str
    limit: float
    """Seconds that are left for it."""
    read: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    is_keys_only: bool = False
    needs_index: tuple[str, ...] = ()
    """Of a query, the properties of the index that it needs beyond those that Datastore makes by itself."""


class DatastoreRelay(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Listens on a free port of loopback, in front of `target`."""

    def __init__(self, target: str) -> None:
        self.calls: list[Call] = []
        self._channel = grpc.insecure_channel(target)
        self._server = grpc.server(ThreadPoolExecutor(_THREADS))
        self._server.add_generic_rpc_handlers((self,))
        self.host = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def service(self, details: Any) -> Any:
        """The handler of one method."""
        forward: Callable[..., bytes] = self._channel.unary_unary(details.method)
        method = details.method.rpartition("/")[2]

        def handle(request: bytes, context: Any) -> bytes | None:
            limit = context.time_remaining()
            self.calls.append(read_call(method, request, limit=limit))
            try:
                return forward(request, timeout=limit)
            except grpc.RpcError as exc:
                context.abort(exc.code(), exc.details())
                return None

        return grpc.unary_unary_rpc_method_handler(handle)

    def during(self, act: Callable[[], object]) -> Counter[str]:
        """The methods of the calls that something makes."""
        self.calls.clear()
        act()
        return self.methods()

    def methods(self) -> Counter[str]:
        """How often each method was called."""
        return Counter(call.method for call in self.calls)

    def close(self) -> None:
        """End it, and what is under way."""
        self._server.stop(grace=None).wait()
        self._channel.close()


@contextmanager
def relayed(client: Client, target: str) -> Iterator[DatastoreRelay]:
    """A relay on the way of a client to `target`."""
    with closing(DatastoreRelay(target)) as relay:
        channel = grpc.insecure_channel(relay.host)
        client.stub = transports.DatastoreGrpcTransport(host=relay.host, channel=channel)
        yield relay
        channel.close()


def read_call(method: str, request: bytes, *, limit: float) -> Call:
    """What a call asks for."""
    call = Call(method, limit)
    if method == "Lookup":
        keys = api.LookupRequest.pb().FromString(request).keys
        return call._replace(read=tuple(map(_kind, keys)))
    if method == "RunQuery":
        query = api.RunQueryRequest.pb().FromString(request).query
        names = [projection.property.name for projection in query.projection]
        kinds = tuple(kind.name for kind in query.kind)
        return call._replace(read=kinds, is_keys_only=names == ["__key__"], needs_index=_index(query))
    if method == "Commit":
        mutations = api.CommitRequest.pb().FromString(request).mutations
        changes = [(each.WhichOneof("operation"), each) for each in mutations]
        return call._replace(
            written=tuple(_kind(getattr(each, how).key) for how, each in changes if how != "delete"),
            deleted=tuple(_kind(each.delete) for how, each in changes if how == "delete"),
        )
    return call


def _index(query: Any) -> tuple[str, ...]:
    """One that is sorted, or filtered by a range, needs an index of all its properties; unless that is one."""
    filters = [each.property_filter for each in query.filter.composite_filter.filters]
    equal = api_query.PropertyFilter.Operator.EQUAL
    sorted_by = [each.property.name for each in filters if each.op != equal]
    sorted_by += [each.property.name for each in query.order]
    names = dict.fromkeys([each.property.name for each in filters if each.op == equal] + sorted_by)
    return tuple(names) if sorted_by and len(names) > 1 else ()


def _kind(key: Any) -> str:
    kind: str = key.path[-1].kind
    return kind
