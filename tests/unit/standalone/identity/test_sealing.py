"""`standalone.identity.sealing`: what comes back is what went out, or nothing."""

import base64
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standalone.identity.sealing import TooLong, seal, unseal

OLD, NEW = b"o" * 32, b"n" * 32

values = st.dictionaries(st.text(max_size=8), st.text(max_size=20) | st.integers() | st.none(), max_size=4)


@given(values)
def test_a_value_comes_back_as_it_went_out(value: dict[str, object]) -> None:
    assert unseal("p", seal("p", value, (NEW,)), (NEW,)) == value


@given(values)
def test_it_may_stand_in_a_cookie(value: dict[str, object]) -> None:
    assert set(seal("p", value, (NEW,))) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def test_a_browser_cannot_read_it() -> None:
    sealed = seal("p", {"verifier": "secret-word"}, (NEW,))

    assert b"secret" not in base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
    assert sealed != seal("p", {"verifier": "secret-word"}, (NEW,))


def test_what_a_cookie_has_no_room_for_is_not_sealed() -> None:
    random = Random(1)
    assert len(seal("p", {"target": random.randbytes(1450).hex()}, (NEW,))) <= 4000
    with pytest.raises(TooLong):
        seal("p", {"target": random.randbytes(3000).hex()}, (NEW,))


@given(st.data())
def test_no_changed_value_opens(data: st.DataObject) -> None:
    sealed = seal("p", {"user": "ada"}, (NEW,))
    at = data.draw(st.integers(0, len(sealed) - 1))
    other = data.draw(st.characters(codec="latin-1").filter(lambda character: character != sealed[at]))

    assert unseal("p", sealed[:at] + other + sealed[at + 1 :], (NEW,)) is None


@given(st.text())
def test_nothing_else_opens(text: str) -> None:
    assert unseal("p", text, (NEW,)) is None


@pytest.mark.parametrize("more", ["x", "=", ".", " "])
def test_nor_with_something_behind_it(more: str) -> None:
    assert unseal("p", seal("p", {}, (NEW,)) + more, (NEW,)) is None


def test_what_is_sealed_for_one_purpose_does_not_open_for_another() -> None:
    assert unseal("session", seal("sign-in", {"user": "ada"}, (NEW,)), (NEW,)) is None


def test_the_first_key_seals_and_all_open() -> None:
    sealed_before = seal("p", {"n": 1}, (OLD,))
    sealed_now = seal("p", {"n": 2}, (NEW, OLD))

    assert (unseal("p", sealed_before, (NEW, OLD)), unseal("p", sealed_now, (NEW,))) == ({"n": 1}, {"n": 2})
    assert unseal("p", sealed_before, (NEW,)) is None
