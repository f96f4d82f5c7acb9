"""App Engine's memcache as its SDK has it for tests: a fixture, imported by conftest modules."""

import pytest
from google.appengine.api import apiproxy_stub_map
from google.appengine.api.memcache.memcache_stub import MemcacheServiceStub


class Memcache(MemcacheServiceStub):  # type: ignore[misc]
    """The SDK's stub, which may be down."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None

    def MakeSyncCall(self, *args: object, **more: object) -> None:
        if self.error is not None:
            raise self.error
        super().MakeSyncCall(*args, **more)


@pytest.fixture
def memcache(monkeypatch: pytest.MonkeyPatch) -> Memcache:
    monkeypatch.setenv("APPLICATION_ID", "app")
    stubs = apiproxy_stub_map.APIProxyStubMap()
    stub = Memcache()
    stubs.RegisterStub("memcache", stub)
    monkeypatch.setattr(apiproxy_stub_map, "apiproxy", stubs)
    return stub
