"""The conversation with the proxy, as poller and exchanges have it."""

from collections.abc import Callable, Sequence

from agent.messages import Listed, Response
from agent.proxy.client import Fetched, ProxyClient
from agent.proxy.errors import ProxyError
from agent.transport.client import Interrupt
from agent.transport.errors import SourceBroke, TransportError
from wire.protocol import RequestId


class Conversation:
    """Asks, fetches and answers."""

    def __init__(self, client: ProxyClient) -> None:
        self._client = client
        self.is_batched = False
        self.width = 1

    def poll(self, interrupt: Interrupt, *, capacity: int) -> Sequence[Listed]:
        """What waits for this agent. Raises `ProxyError`, `TransportError` and `WireError`."""
        return self._client.list_pending(interrupt)

    def leave(self) -> bool:
        """See `ProxyClient`."""
        return self._client.leave()

    def fetch(self, request_id: RequestId) -> Fetched:
        """See `ProxyClient`."""
        return self._client.fetch(request_id)

    def respond(
        self,
        request_id: RequestId,
        response: Response,
        *,
        method: str,
        told: Callable[[Exception | None], None],
    ) -> None:
        """Post the answer to a request made with `method`; `told` is called once it is known what has become of it."""
        try:
            self._client.respond(request_id, response, method=method)
        except (ProxyError, TransportError, SourceBroke) as exc:
            told(exc)
        else:
            told(None)
