"""A gRPC server made with grpcio: `python -m tests.system.greeter [CERTIFICATE KEY]`.

Its messages are `google.protobuf.StringValue`, which every protobuf package brings, so that nothing has to be compiled.

    /demo.Greeter/Hello      one name, one greeting; NOT_FOUND for `nobody`
    /demo.Greeter/Everybody  one list of names, a greeting for each; the second waits for a call of `Go`
    /demo.Greeter/All        many names, one greeting
    /demo.Greeter/Go         lets `Everybody` go on
"""

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import StringValue

_may_go = threading.Event()


def _hello(request: StringValue, context: grpc.ServicerContext) -> StringValue:
    if request.value == "nobody":
        context.abort(grpc.StatusCode.NOT_FOUND, "nobody of that name: ü")
    context.set_trailing_metadata((("greeted-by", "grpcio"),))
    host = dict(context.invocation_metadata()).get("x-forwarded-host", "")
    return StringValue(value=f"Hello, {request.value}, at {host}")


def _everybody(request: StringValue, context: grpc.ServicerContext) -> Iterator[StringValue]:
    for number, name in enumerate(request.value.split()):
        if number == 1:
            _may_go.wait(60)
        yield StringValue(value=f"Hello, {name}")


def _all(requests: Iterator[StringValue], context: grpc.ServicerContext) -> StringValue:
    return StringValue(value="Hello, " + " and ".join(request.value for request in requests))


def _go(request: StringValue, context: grpc.ServicerContext) -> StringValue:
    _may_go.set()
    return StringValue()


def _handler(make: Callable[..., grpc.RpcMethodHandler], behaviour: Callable[..., Any]) -> grpc.RpcMethodHandler:
    return make(
        behaviour, request_deserializer=StringValue.FromString, response_serializer=StringValue.SerializeToString
    )


def main() -> None:
    methods = {
        "Hello": _handler(grpc.unary_unary_rpc_method_handler, _hello),
        "Everybody": _handler(grpc.unary_stream_rpc_method_handler, _everybody),
        "All": _handler(grpc.stream_unary_rpc_method_handler, _all),
        "Go": _handler(grpc.unary_unary_rpc_method_handler, _go),
    }
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("demo.Greeter", methods),))
    if len(sys.argv) > 1:
        certificate, key = (Path(name).read_bytes() for name in sys.argv[1:3])
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"Listening on http://127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
