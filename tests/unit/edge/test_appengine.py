"""`edge.appengine`, over the stub that App Engine's SDK has for tests."""

from datetime import timedelta

import pytest
from google.appengine.api import apiproxy_stub_map, user_service_pb2
from google.appengine.api.user_service_stub import UserServiceStub
from google.appengine.runtime import apiproxy_errors

from broker.errors import NotAllowed, StoreUnavailable
from edge.appengine import SCOPE, AppEngineIdentity
from edge.identity import Caller
from tests.fakes.clock import FakeClock
from wire.headers import Headers

NOBODY = Caller(Headers())


def token(text: str) -> Caller:
    return Caller(Headers([("Authorization", f"Bearer {text}"), ("X-Appengine-Api-Ticket", "ticket")]))


class UserService(UserServiceStub):  # type: ignore[misc]
    """The SDK's stub, which counts its calls and may be down."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.error: Exception | None = None

    def MakeSyncCall(self, *args: object, **more: object) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error
        super().MakeSyncCall(*args, **more)


class World:
    """App Engine, where an agent's account and scopes are what a test says."""

    def __init__(self, service: UserService) -> None:
        self.service = service
        self.clock = FakeClock()
        self.sign_in("agent@example.com")

    def sign_in(self, email: str | None, *, is_admin: bool = False, scope: str = SCOPE) -> None:
        self.service.SetOAuthUser(email=email, is_admin=is_admin, scopes=[scope])

    def identity(self, *admins: str) -> AppEngineIdentity:
        return AppEngineIdentity(self.clock, admins=admins)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("AUTH_DOMAIN", "gmail.com")  # the stub sets it
    monkeypatch.setattr(apiproxy_stub_map, "apiproxy", apiproxy_stub_map.APIProxyStubMap())
    service = UserService()
    apiproxy_stub_map.apiproxy.RegisterStub("user", service)
    return World(service)


def test_a_user_is_who_app_engine_says(world: World) -> None:
    headers = Headers([("X-Appengine-User-Email", "user@example.com"), ("X-Appengine-User-Id", "1")])

    assert world.identity().end_user(Caller(headers)) == "user@example.com"


def test_nobody_is_signed_in_without_app_engines_word(world: World) -> None:
    identity = world.identity()
    identity.end_user(Caller(Headers([("X-Appengine-User-Email", "user@example.com")])))

    assert identity.end_user(NOBODY) == ""


def test_an_agent_is_known_by_its_access_token(world: World) -> None:
    assert world.identity().backend_account(token("t")) == "agent@example.com"


def test_without_a_token_app_engine_is_not_asked(world: World) -> None:
    with pytest.raises(NotAllowed) as caught:
        world.identity().backend_account(Caller(Headers([("Cookie", "SACSID=x")])))
    assert not caught.value.authenticated
    assert world.service.calls == 0


@pytest.mark.parametrize(
    ("email", "scope"), [(None, SCOPE), ("agent@example.com", "https://www.googleapis.com/auth/x")]
)
def test_a_bad_token_or_one_of_another_scope_is_refused(world: World, email: str | None, scope: str) -> None:
    world.sign_in(email, scope=scope)

    with pytest.raises(NotAllowed) as caught:
        world.identity().backend_account(token("t"))
    assert not caught.value.authenticated


def test_an_answer_about_a_token_is_kept_for_a_minute(world: World) -> None:
    identity = world.identity()
    identity.backend_account(token("t"))
    world.sign_in("other@example.com")
    world.clock.advance(timedelta(seconds=59))
    assert identity.backend_account(token("t")) == "agent@example.com"
    assert identity.backend_account(token("u")) == "other@example.com"

    world.clock.advance(timedelta(seconds=1))
    assert identity.backend_account(token("t")) == "other@example.com"


def test_a_refusal_is_kept_for_a_shorter_time(world: World) -> None:
    identity = world.identity()
    world.sign_in(None)
    for _ in range(2):
        with pytest.raises(NotAllowed):
            identity.backend_account(token("t"))
    assert world.service.calls == 1

    world.sign_in("agent@example.com")
    world.clock.advance(timedelta(seconds=10))
    assert identity.backend_account(token("t")) == "agent@example.com"


def test_what_is_kept_is_bounded(world: World) -> None:
    identity = world.identity()
    identity.backend_account(token("first"))
    for number in range(1000):
        identity.backend_account(token(str(number)))
    before = world.service.calls
    identity.backend_account(token("first"))
    identity.backend_account(token("999"))

    assert world.service.calls == before + 1


def test_an_administrator_is_one_of_the_project(world: World) -> None:
    with pytest.raises(NotAllowed) as caught:
        world.identity().admin(token("t"))
    assert caught.value.authenticated

    world.sign_in("boss@example.com", is_admin=True)
    assert world.identity().admin(token("t")) == "boss@example.com"


def test_a_list_of_administrators_narrows_those_of_the_project(world: World) -> None:
    world.sign_in("boss@example.com", is_admin=True)

    assert world.identity("Boss@Example.com").admin(token("t")) == "boss@example.com"
    with pytest.raises(NotAllowed):
        world.identity("other@example.com").admin(token("t"))


@pytest.mark.parametrize(
    "error",
    [
        apiproxy_errors.ApplicationError(user_service_pb2.UserServiceError.OAUTH_ERROR),
        apiproxy_errors.RPCFailedError("no ticket"),
        apiproxy_errors.DeadlineExceededError("slow"),
    ],
)
def test_a_service_that_is_down_is_not_the_callers_fault_and_not_kept(world: World, error: Exception) -> None:
    identity = world.identity()
    world.service.error = error
    with pytest.raises(StoreUnavailable):
        identity.backend_account(token("t"))

    world.service.error = None
    assert identity.backend_account(token("t")) == "agent@example.com"
