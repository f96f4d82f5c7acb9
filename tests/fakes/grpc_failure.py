"""A call to a service that fails."""

import grpc


class Failure(grpc.RpcError):
    """As grpc raises it."""

    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        """How it failed."""
        return self._code

    def details(self) -> str:
        """Words for people."""
        return "no luck"
