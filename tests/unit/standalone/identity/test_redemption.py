"""`standalone.identity.redemption`: what a provider is asked for a code, and which of its answers are believed."""

import asyncio
import base64
from typing import Any

import pytest

from broker.errors import StoreUnavailable
from standalone.identity.provider import Provider
from standalone.identity.redemption import ClientCredentials, NotRedeemed, redeem
from standalone.identity.sign_in import SignIn
from tests.fakes.clock import NOON, FakeClock
from tests.unit.standalone.identity.signer import DESCRIPTION, DISCOVERY, ISSUER, FakeWeb, Signer

SIGNER = Signer("key")
ATTEMPT = SignIn(state="s", nonce="n", verifier="v", target="/", origin="https://proxy", began=NOON)
ADDRESS = {"email": "ada@example.org", "email_verified": True}


class Desk:
    """A provider, and a client of it."""

    def __init__(self, secret: str = "a/b c", **description: Any) -> None:
        self.web = FakeWeb(SIGNER)
        self.web.served[DISCOVERY] = DESCRIPTION | description
        self.web.answer = (200, {"id_token": SIGNER.token(nonce="n", **ADDRESS), "access_token": "access"})
        self._client = ClientCredentials("client", lambda: secret)

    def redeem(self) -> dict[str, object]:
        async def within() -> dict[str, object]:
            provider = Provider(ISSUER, self.web, FakeClock())
            return dict(
                await redeem(provider, self._client, code="c", sign_in=ATTEMPT, redirect_uri="https://proxy/back")
            )

        return asyncio.run(within())

    @property
    def asked(self) -> tuple[str, dict[str, str], dict[str, str]]:
        (posted,) = self.web.posted
        return posted


def test_a_code_is_redeemed_with_its_verifier() -> None:
    desk = Desk()

    assert desk.redeem()["email"] == "ada@example.org"
    url, form, _ = desk.asked
    assert (url, form) == (
        f"{ISSUER}/token",
        {"grant_type": "authorization_code", "code": "c", "redirect_uri": "https://proxy/back", "code_verifier": "v"},
    )


def test_the_secret_travels_as_the_standard_says() -> None:
    desk = Desk()
    desk.redeem()

    assert desk.asked[2] == {"Authorization": "Basic " + base64.b64encode(b"client:a%2Fb+c").decode()}


def test_it_goes_into_the_form_where_the_provider_takes_it_nowhere_else() -> None:
    desk = Desk(token_endpoint_auth_methods_supported=["client_secret_post"])
    desk.redeem()

    assert (desk.asked[1]["client_id"], desk.asked[1]["client_secret"], desk.asked[2]) == ("client", "a/b c", {})


def test_a_client_without_a_secret_names_itself() -> None:
    desk = Desk(secret="")
    desk.redeem()

    assert ("client_secret" in desk.asked[1], desk.asked[1]["client_id"], desk.asked[2]) == (False, "client", {})


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((400, {"error": "invalid_grant", "error_description": "x\ny"}), "status 400, invalid_grant: x\\ny"),
        ((401, {"error": "invalid_client"}), "status 401, invalid_client"),
        ((200, None), "status 200, and no JSON"),
        ((200, {}), "its answer has no ID token"),
        ((200, {"id_token": 7}), "its answer has no ID token"),
        ((200, {"id_token": SIGNER.token(nonce="other")}), "its ID token is of another sign-in"),
        ((200, {"id_token": SIGNER.token(nonce="n", aud="other")}), "its ID token is for another audience"),
        ((200, {"id_token": "a.b.c"}), "its ID token is malformed"),
    ],
)
def test_any_other_answer_is_no_confirmation_and_why_is_logged(
    answer: tuple[int, object], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk()
    desk.web.answer = answer
    with pytest.raises(NotRedeemed):
        desk.redeem()
    assert [reason in message for message in caplog.messages] == [True]


def test_an_address_that_is_not_in_the_token_is_asked_for() -> None:
    desk = Desk(userinfo_endpoint=f"{ISSUER}/me")
    desk.web.answer = (200, {"id_token": SIGNER.token(nonce="n"), "access_token": "access"})
    desk.web.served[f"{ISSUER}/me"] = {"sub": "1", "iss": "https://evil.org", **ADDRESS}
    claims = desk.redeem()

    assert (claims["email"], claims["iss"]) == ("ada@example.org", ISSUER)


def test_it_is_not_asked_for_where_it_is_there() -> None:
    desk = Desk(userinfo_endpoint=f"{ISSUER}/me")
    desk.redeem()

    assert f"{ISSUER}/me" not in desk.web.asked


def test_what_is_told_of_another_is_not_believed() -> None:
    desk = Desk(userinfo_endpoint=f"{ISSUER}/me")
    desk.web.answer = (200, {"id_token": SIGNER.token(nonce="n"), "access_token": "access"})
    desk.web.served[f"{ISSUER}/me"] = {"sub": "2", **ADDRESS}
    with pytest.raises(NotRedeemed):
        desk.redeem()


def test_without_it_there_is_the_subject() -> None:
    desk = Desk(userinfo_endpoint=f"{ISSUER}/down")
    desk.web.answer = (200, {"id_token": SIGNER.token(nonce="n"), "access_token": "access"})

    assert "email" not in desk.redeem()


def test_a_provider_without_a_token_endpoint_confirms_nothing() -> None:
    with pytest.raises(NotRedeemed):
        Desk(token_endpoint="").redeem()


def test_a_provider_that_is_down_is_told_from_one_that_refuses() -> None:
    desk = Desk()
    desk.web.is_down = True
    with pytest.raises(StoreUnavailable):
        desk.redeem()
