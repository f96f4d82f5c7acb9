"""`standalone.identity.id_tokens`: a token is believed when everything about it is right, and then only."""

import hmac
import json
from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from standalone.identity.encoding import encode_base64url
from standalone.identity.id_tokens import (
    InvalidToken,
    SigningKeys,
    UnknownKey,
    ends_at,
    looks_like_token,
    parse_key_set,
    read_claims,
    require_signed_in,
)
from tests.fakes.clock import NOON

ISSUER, AUDIENCE = "https://id.example.org", "client"
SECONDS: Final = int(NOON.timestamp())
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})
CLAIMS: Final = {"iss": ISSUER, "aud": AUDIENCE, "sub": "1", "iat": SECONDS, "exp": SECONDS + 60, "nonce": "n"}


def public(*keys: Key) -> SigningKeys:
    return parse_key_set({"keys": [{**key.as_dict(private=False), "kid": key.kid} for key in keys]})


def token(key: Key = RSA, algorithm: str = "RS256", *, header: dict[str, Any] | None = None, **changes: Any) -> str:
    claims = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
    fields = {"alg": algorithm, "kid": key.kid} | (header or {})
    return jws.serialize_compact(fields, json.dumps(claims), key, algorithms=[algorithm])


def read(text: str, keys: SigningKeys | None = None) -> dict[str, object]:
    keys = public(RSA, EC, ED) if keys is None else keys
    return dict(read_claims(text, keys, issuer=ISSUER, audience=AUDIENCE, now=NOON))


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (RSA, "PS384"), (EC, "ES256"), (ED, "Ed25519")])
def test_a_token_that_is_right_is_believed(key: Key, algorithm: str) -> None:
    assert read(token(key, algorithm)) == CLAIMS


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://id.example.org/"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"aud": "other"}, "another audience"),
        ({"aud": ["other"]}, "another audience"),
        ({"aud": None}, "another audience"),
        ({"aud": {"client": 1}}, "another audience"),
        ({"exp": SECONDS - 31}, "expired"),
        ({"exp": None}, "expired"),
        ({"exp": True}, "expired"),
        ({"exp": "9999999999"}, "expired"),
        ({"iat": SECONDS + 31}, "future"),
        ({"nbf": SECONDS + 31}, "future"),
    ],
)
def test_one_that_is_not_says_why_and_nothing_of_itself(changes: dict[str, Any], reason: str) -> None:
    text = token(**changes)
    with pytest.raises(InvalidToken, match=reason) as caught:
        read(text)
    assert text not in str(caught.value)


def test_clocks_may_differ_a_little() -> None:
    read(token(exp=SECONDS - 29))
    read(token(iat=SECONDS + 29))


def test_a_token_for_several_audiences_is_for_each() -> None:
    assert read(token(aud=["other", AUDIENCE]))["aud"] == ["other", AUDIENCE]


def test_a_signature_by_another_key_of_that_name_is_refused() -> None:
    other = RSAKey.generate_key(2048, {"kid": "rsa"})
    with pytest.raises(InvalidToken, match="not signed by its issuer"):
        read(token(other))


def test_a_key_that_is_not_listed_may_be_a_new_one() -> None:
    with pytest.raises(UnknownKey):
        read(token(), public(EC))


def test_a_token_without_a_key_id_is_tried_with_each_key() -> None:
    bare = jws.serialize_compact({"alg": "RS256"}, json.dumps(CLAIMS), RSA, algorithms=["RS256"])
    assert read(bare) == CLAIMS


def test_no_signature_is_none() -> None:
    head, payload, _ = token().split(".")
    unsigned = encode_base64url(b'{"alg":"none"}')
    for text in (f"{unsigned}.{payload}.", f"{head}.{payload}."):
        with pytest.raises(InvalidToken):
            read(text)


def test_a_public_key_is_no_secret_to_sign_with() -> None:
    parts = (json.dumps({"alg": "HS256", "kid": "rsa"}), json.dumps(CLAIMS))
    signed = ".".join(encode_base64url(part.encode()) for part in parts)
    tag = hmac.digest(RSA.as_pem(private=False), signed.encode(), "sha256")
    with pytest.raises(InvalidToken, match="not allowed"):
        read(f"{signed}.{encode_base64url(tag)}")


@given(st.data())
def test_no_changed_token_is_believed(data: st.DataObject) -> None:
    text = token(EC, "ES256")
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("ABCxyz019-_.=é ").filter(lambda character: character != text[at]))
    changed = text[:at] + other + text[at + 1 :]
    with pytest.raises(InvalidToken):
        read(changed)


@given(st.text() | st.binary().map(lambda data: f"{encode_base64url(data)}.e30.AAAA"))
def test_no_other_text_is_believed(text: str) -> None:
    with pytest.raises(InvalidToken):
        read(text)


def test_what_must_be_understood_and_is_not_is_refused() -> None:
    head = encode_base64url(json.dumps({"alg": "RS256", "kid": "rsa", "crit": ["x"], "x": 1}).encode())
    with pytest.raises(InvalidToken, match="malformed"):
        read(f"{head}.{token().partition('.')[2]}")


def test_keys_of_kinds_that_are_not_known_are_left_out() -> None:
    listed = [
        {**RSA.as_dict(private=False), "kid": "rsa"},
        {"kty": "AKP", "kid": "pq", "pub": "x"},
        {"kty": "oct", "kid": "secret", "k": "AAAA"},
        {**EC.as_dict(private=False), "kid": "enc", "use": "enc"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        {"kty": "EC", "kid": "curve", "crv": "P-1", "x": "AA", "y": "AA"},
        "no key",
    ]

    assert [name for name, _ in parse_key_set({"keys": listed}).keys] == ["rsa"]


@pytest.mark.parametrize("value", [None, [], {}, {"keys": {}}, {"keys": [{}] * 101}])
def test_what_is_no_key_set_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        parse_key_set(value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"nonce": "other"}, "another sign-in"),
        ({"nonce": None}, "another sign-in"),
        ({"azp": "other"}, "another client"),
        ({"aud": [AUDIENCE, "other"]}, "several audiences"),
        ({"sub": ""}, "without a subject"),
        ({"sub": None}, "without a subject"),
    ],
)
def test_a_token_has_to_answer_this_sign_in(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidToken, match=reason):
        require_signed_in(CLAIMS | changes, client_id=AUDIENCE, nonce="n")


@pytest.mark.parametrize(
    "changes", [{}, {"azp": AUDIENCE}, {"aud": [AUDIENCE, "other"], "azp": AUDIENCE}, {"aud": [AUDIENCE]}]
)
def test_one_that_does_is_taken(changes: dict[str, Any]) -> None:
    require_signed_in(CLAIMS | changes, client_id=AUDIENCE, nonce="n")


def test_a_token_is_told_from_other_words() -> None:
    assert looks_like_token(token())
    assert [looks_like_token(text) for text in ("", "ipx_abc", "a.b.c", "e30.x", "x" * 20_000 + ".b.c")] == 5 * [False]


def test_its_end_is_told() -> None:
    assert ends_at({"exp": 7}) == 7
    assert ends_at({}) == 0
    assert (NOON + timedelta(seconds=60)).timestamp() == ends_at(CLAIMS)
