"""Both services in one real gunicorn, for tests: those for agents under their paths, everything else for users.

`gunicorn tests.services.gunicorn_app:app`
"""

from collections.abc import Callable, Iterable
from typing import Any

from tests.services.pair import Pair
from wire.protocol import PENDING_PATH, REQUEST_PATH, RESPONSE_PATH

pair = Pair(window=1 << 23)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The WSGI application."""
    is_agents = environ["RAW_URI"] in (PENDING_PATH, REQUEST_PATH, RESPONSE_PATH)
    return (pair.agents if is_agents else pair.proxy)(environ, start_response)
