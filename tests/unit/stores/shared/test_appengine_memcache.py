"""Over the stub that App Engine's SDK has for tests."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.appengine.runtime import apiproxy_errors
from google.appengine.runtime.context import gae_headers

from stores.shared.appengine_memcache import AppEngineMemcache, with_tickets
from stores.shared.hints import CacheUnavailable
from tests.memcache_stub import Memcache


def test_what_was_put_is_got(memcache: Memcache) -> None:
    cache = AppEngineMemcache()
    cache.put("one", b"\x00\xff")
    cache.put("one", b"again")

    assert cache.get_many(["one", "two"]) == {"one": b"again"}


@pytest.mark.parametrize(
    "error", [apiproxy_errors.RPCFailedError("down"), apiproxy_errors.DeadlineExceededError("late")]
)
def test_a_failure_is_told_from_nothing(memcache: Memcache, error: Exception) -> None:
    memcache.error = error
    with pytest.raises(CacheUnavailable):
        AppEngineMemcache().get_many(["one"])
    with pytest.raises(CacheUnavailable):
        AppEngineMemcache().put("one", b"1")


def test_the_ticket_is_that_of_the_request_in_hand() -> None:
    seen = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        seen.append(gae_headers.API_TICKET.get())
        return iter(())

    served = with_tickets(app)
    served({"HTTP_X_APPENGINE_API_TICKET": "one"}, None)
    served({}, None)

    assert seen == ["one", ""]
