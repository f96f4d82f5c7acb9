"""App Engine's bundled memcache as a cache. Slow to import, as all of App Engine's SDK: only where it is wanted.

A call is made with the ticket of the request that its thread works on; `with_tickets` keeps it for that thread, and
nothing else of the request.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from google.appengine.api import memcache
from google.appengine.runtime import apiproxy_errors
from google.appengine.runtime.context import gae_headers
from google.appengine.runtime.default_api_stub import DefaultApiStub

from stores.shared.hints import CacheUnavailable

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]

_TIMEOUT: Final = 0.25
"""Seconds: whoever waits for longer had better ask the store."""

_KEPT_FOR: Final = 60
"""Seconds."""

_NAMESPACE: Final = "hints"


class AppEngineMemcache:
    """A `Cache`. App Engine's stub is registered by whoever chose App Engine's identity."""

    def get_many(self, names: Collection[str]) -> Mapping[str, bytes]:
        """What is there of these."""
        found: Mapping[str, bytes] = _result(
            lambda rpc: memcache.Client().get_multi_async(list(names), namespace=_NAMESPACE, rpc=rpc)
        )
        return found

    def put(self, name: str, value: bytes) -> None:
        """Keep a value for a minute."""
        _result(
            lambda rpc: memcache.Client().set_multi_async({name: value}, time=_KEPT_FOR, namespace=_NAMESPACE, rpc=rpc)
        )


def _result(begin: Callable[[Any], Any]) -> Any:
    DefaultApiStub.SetUseRequestSecurityTicketForThread(True)
    try:
        rpc = begin(memcache.create_rpc(deadline=_TIMEOUT))
        rpc.check_success()  # the result alone does not tell a failure from nothing
        return rpc.get_result()
    except apiproxy_errors.Error as exc:
        raise CacheUnavailable(f"App Engine's memcache: {exc}") from exc
    finally:
        DefaultApiStub.SetUseRequestSecurityTicketForThread(False)


def with_tickets(app: WsgiApp) -> WsgiApp:
    """The application, with the ticket of each request kept for the thread that serves it."""

    def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        gae_headers.API_TICKET.set(environ.get("HTTP_X_APPENGINE_API_TICKET", ""))
        return app(environ, start_response)

    return serve
