"""The calls of a Datastore client, counted on their way."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import grpc
from google.cloud.datastore_v1.services.datastore.transports import grpc as transports
from google.cloud.ndb import Client


class CallCounter(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]
    """Notes the name of each call, and the seconds it may take."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.limits: list[float | None] = []

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """Called by gRPC for each call."""
        self.calls.append(details.method.rpartition("/")[2])
        self.limits.append(details.timeout)
        return continuation(details, request)

    def during(self, act: Callable[[], object]) -> Counter[str]:
        """The calls that something makes."""
        self.calls.clear()
        act()
        return Counter(self.calls)


def count_calls(client: Client, host: str) -> CallCounter:
    """Put a counter on a client's way to the emulator at `host`."""
    counter = CallCounter()
    channel = grpc.intercept_channel(grpc.insecure_channel(host), counter)
    client.stub = transports.DatastoreGrpcTransport(host=host, channel=channel)
    return counter
