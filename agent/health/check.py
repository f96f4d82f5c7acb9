"""One check of a backend: a GET whose answer has to begin in time, with a status of 200 to 399.

The original takes 200 alone, after it has followed redirects to anywhere. Here none is followed, and one is as good as
a page: many a backend's `/` only leads to its start page.
"""

from collections.abc import Callable

from agent.messages import Request, Response
from agent.transport.errors import SourceBroke, TransportError
from wire.headers import Headers
from wire.http1 import RequestHead
from wire.protocol import RequestId


class CheckFailed(Exception):
    """The backend is not well; says why, without anything that it said itself."""


def build_check(backend: Callable[[Request], Response], *, host: str, path: str, user_agent: str) -> Callable[[], None]:
    """A check that raises `CheckFailed`.

    `backend` calls it, with a time-out of its own and connections of its own: a check must not wait for those that it
    asks about. `host` is the `Host` field.
    """
    fields = Headers([("Host", host), ("User-Agent", user_agent), ("Accept", "*/*")])
    request = Request(RequestId("health-check"), "", RequestHead("GET", path, fields, None), b"")

    def check() -> None:
        try:
            response = backend(request)
        except (TransportError, SourceBroke) as exc:
            raise CheckFailed(str(exc)) from exc
        # The status has decided: what it says, and how long that takes, does not matter.
        response.close()
        if not 200 <= response.head.status <= 399:
            raise CheckFailed(f"it answers {path.partition('?')[0]} with status {response.head.status}")

    return check
