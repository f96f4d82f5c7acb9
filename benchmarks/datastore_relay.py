"""A gRPC server that passes every call on to another and counts it by its method: bytes in and out."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc


class CountingRelay(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Listens on a free port of loopback, in front of `target`."""

    def __init__(self, target: str) -> None:
        self.calls: Counter[str] = Counter()
        self._channel = grpc.insecure_channel(target)
        self._server = grpc.server(ThreadPoolExecutor(64))
        self._server.add_generic_rpc_handlers((self,))
        self.host = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def service(self, details: Any) -> Any:
        """The handler of one method."""
        forward: Callable[..., bytes] = self._channel.unary_unary(details.method)
        name = details.method.rpartition("/")[2]

        def handle(request: bytes, context: Any) -> bytes | None:
            self.calls[name] += 1
            try:
                return forward(request, timeout=context.time_remaining())
            except grpc.RpcError as exc:
                context.abort(exc.code(), exc.details())
                return None

        return grpc.unary_unary_rpc_method_handler(handle)

    def close(self) -> None:
        """End it, and what is under way."""
        self._server.stop(grace=None).wait()
        self._channel.close()
