"""`edge.oidc` and `edge.certificates`: a token is believed when everything about it is right, and then only."""

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests

from broker.errors import NotAllowed, StoreUnavailable
from edge.certificates import Certificates
from edge.identity import Caller
from edge.oidc import GOOGLE, IAP, IAP_ASSERTION, OidcIdentity, TokenReader
from tests.fakes.clock import FakeClock
from tests.unit.edge.signers import AUDIENCE, CertificateServer, Signer, serving
from wire.headers import Headers

pytestmark = pytest.mark.loopback

IAP_AUDIENCE = "/projects/1/apps/proxy"
GOOGLE_SIGNER = Signer.rs256()
IAP_SIGNER = Signer.es256()


class World:
    """Google and IAP with keys of ours, and an identity that knows them by their servers."""

    def __init__(self, google: CertificateServer, iap: CertificateServer, session: requests.Session) -> None:
        google.publish(**{GOOGLE_SIGNER.key_id: GOOGLE_SIGNER.certificate})
        iap.publish(**{IAP_SIGNER.key_id: IAP_SIGNER.public_key})
        self.google = google
        self.session = session
        self.clock = FakeClock()
        self.tokens = TokenReader(GOOGLE, AUDIENCE, Certificates(session, self.clock, google.url))
        self.assertions = TokenReader(IAP, IAP_AUDIENCE, Certificates(session, self.clock, iap.url))

    def identity(self, *, behind_iap: bool = False) -> OidcIdentity:
        assertions = self.assertions if behind_iap else None
        return OidcIdentity(tokens=self.tokens, assertions=assertions, admins=["Boss@example.com"])


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[CertificateServer, CertificateServer]]:
    with serving() as google, serving() as iap:
        yield google, iap


@pytest.fixture
def world(servers: tuple[CertificateServer, CertificateServer]) -> Iterator[World]:
    for server in servers:
        server.status, server.location, server.asked = 200, "", 0
    with requests.Session() as session:
        session.trust_env = False
        yield World(*servers, session)


def id_token(signer: Signer = GOOGLE_SIGNER, **changes: Any) -> str:
    claims = {"iss": "https://accounts.google.com", "email": "agent@example.com", "email_verified": True}
    return signer.token(**(claims | changes))


def assertion(signer: Signer = IAP_SIGNER, **changes: Any) -> str:
    claims = {"iss": "https://cloud.google.com/iap", "email": "user@example.com", "aud": IAP_AUDIENCE}
    return signer.token(**(claims | changes))


def bearer(token: str) -> Caller:
    return Caller(Headers([("Authorization", f"Bearer {token}")]))


def asserted(*assertions: str) -> Caller:
    return Caller(Headers((IAP_ASSERTION.lower(), value) for value in assertions))


def unsigned(header: object, payload: object) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, payload)]
    return ".".join((*parts, ""))


@pytest.mark.parametrize("issuer", ["https://accounts.google.com", "accounts.google.com"])
def test_an_agent_is_known_by_its_id_token(world: World, issuer: str) -> None:
    assert world.identity().backend_account(bearer(id_token(iss=issuer))) == "agent@example.com"


def test_an_administrator_is_one_of_the_list(world: World) -> None:
    assert world.identity().admin(bearer(id_token(email="boss@Example.com"))) == "boss@Example.com"
    with pytest.raises(NotAllowed) as caught:
        world.identity().admin(bearer(id_token()))
    assert caught.value.authenticated


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"iss": "https://cloud.google.com/iap"},
        {"aud": "https://other.example.com"},
        {"aud": None},
        {"aud": [AUDIENCE, "other"]},
        {"email": None},
        {"email": ""},
        {"email": 7},
        {"email_verified": None},
        {"email_verified": False},
        {"email_verified": "true"},
        {"exp": int(time.time()) - 3600},
        {"iat": int(time.time()) + 3600},
        {"exp": None},
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(world: World, changes: dict[str, Any]) -> None:
    with pytest.raises(NotAllowed) as caught:
        world.identity().backend_account(bearer(id_token(**changes)))
    assert not caught.value.authenticated


def test_clocks_may_differ_by_half_a_minute(world: World) -> None:
    now = int(time.time())
    token = id_token(iat=now + 20, exp=now - 20)

    assert world.identity().backend_account(bearer(token)) == "agent@example.com"


@pytest.mark.parametrize(
    "token",
    [
        "not-a-token",
        "a.b.c",
        "....",
        "\xff.\xff.\xff",
        unsigned({"alg": "none", "kid": "rsa-1"}, {"email": "boss@example.com"}),
        unsigned({"alg": "HS256", "kid": "rsa-1"}, {}),
        unsigned({"alg": "RS256"}, {}),
        unsigned({"alg": "RS256", "kid": ["rsa-1"]}, {}),
        unsigned({"alg": "RS256", "kid": "rsa-1"}, []),
        unsigned([], {}),
        base64.urlsafe_b64encode(b"[" * 6000).decode() + ".e30.e30",
    ],
)
def test_garbage_is_refused_and_not_repeated(world: World, token: str) -> None:
    with pytest.raises(NotAllowed) as caught:
        world.identity().backend_account(bearer(token))
    assert token not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_token_by_another_key_of_the_same_name_is_refused(world: World) -> None:
    with pytest.raises(NotAllowed):
        world.identity().backend_account(bearer(id_token(Signer.rs256())))


def test_a_token_by_the_right_issuer_with_another_algorithm_is_refused(world: World) -> None:
    world.google.publish(**{"ec-1": IAP_SIGNER.public_key, "rsa-1": GOOGLE_SIGNER.certificate})

    for token in (id_token(IAP_SIGNER), id_token(GOOGLE_SIGNER.named("ec-1"))):
        with pytest.raises(NotAllowed):
            world.identity().backend_account(bearer(token))


def test_a_changed_token_is_refused(world: World) -> None:
    head, _, signature = id_token().split(".")
    _, payload, _ = id_token(email="boss@example.com").split(".")

    with pytest.raises(NotAllowed):
        world.identity().backend_account(bearer(f"{head}.{payload}.{signature}"))


def test_without_identity_aware_proxy_nobody_at_a_browser_is_known(world: World) -> None:
    assert world.identity().end_user(asserted(assertion())) == ""


def test_a_user_is_known_by_the_assertion_of_identity_aware_proxy(world: World) -> None:
    assert world.identity(behind_iap=True).end_user(asserted(assertion())) == "user@example.com"


@pytest.mark.parametrize(
    "assertions",
    [
        (),
        ("garbage",),
        (assertion(), assertion()),
        (assertion(aud=AUDIENCE),),
        (assertion(iss="https://accounts.google.com"),),
        (assertion(Signer.es256()),),
        (assertion(GOOGLE_SIGNER),),
    ],
)
def test_a_user_without_a_good_assertion_is_refused(world: World, assertions: tuple[str, ...]) -> None:
    with pytest.raises(NotAllowed) as caught:
        world.identity(behind_iap=True).end_user(asserted(*assertions))
    assert not caught.value.authenticated


def test_the_unsigned_fields_of_identity_aware_proxy_are_not_believed(world: World) -> None:
    forged = Headers([("X-Goog-Authenticated-User-Email", "accounts.google.com:boss@example.com")])

    with pytest.raises(NotAllowed):
        world.identity(behind_iap=True).end_user(Caller(forged))


def test_behind_identity_aware_proxy_agents_and_administrators_may_be_known_by_it(world: World) -> None:
    identity = world.identity(behind_iap=True)

    assert identity.backend_account(asserted(assertion())) == "user@example.com"
    assert identity.admin(asserted(assertion(email="boss@example.com"))) == "boss@example.com"
    assert identity.backend_account(bearer(id_token())) == "agent@example.com"


def test_certificates_are_fetched_once_an_hour(world: World) -> None:
    identity = world.identity()
    for _ in range(3):
        identity.backend_account(bearer(id_token()))
    assert world.google.asked == 1

    world.clock.advance(timedelta(hours=1))
    identity.backend_account(bearer(id_token()))
    assert world.google.asked == 2


def test_a_new_key_is_looked_for_at_most_once_a_minute(world: World) -> None:
    identity = world.identity()
    identity.backend_account(bearer(id_token()))
    newer = Signer.rs256("rsa-2")
    world.google.publish(**{"rsa-2": newer.certificate})
    for _ in range(3):
        with pytest.raises(NotAllowed):
            identity.backend_account(bearer(id_token(newer)))
    assert world.google.asked == 1

    world.clock.advance(timedelta(minutes=1))
    assert identity.backend_account(bearer(id_token(newer))) == "agent@example.com"
    assert world.google.asked == 2


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (204, b""),
        (200, b"no json"),
        (200, b"[]"),
        (200, json.dumps({str(n): "" for n in range(101)}).encode()),
    ],
)
def test_certificates_that_cannot_be_had_are_not_the_callers_fault(world: World, status: int, body: bytes) -> None:
    world.google.status, world.google.body = status, body

    with pytest.raises(StoreUnavailable):
        world.identity().backend_account(bearer(id_token()))


def test_a_redirect_is_not_followed_to_certificates(world: World) -> None:
    world.google.status, world.google.location = 302, world.google.url

    with pytest.raises(StoreUnavailable):
        world.identity().backend_account(bearer(id_token()))
    assert world.google.asked == 1


def test_a_server_of_certificates_that_is_down_is_not_the_callers_fault(world: World) -> None:
    certificates = Certificates(world.session, world.clock, "http://127.0.0.1:1/")

    with pytest.raises(StoreUnavailable):
        TokenReader(replace(GOOGLE), AUDIENCE, certificates).email(id_token())
