"""`standalone.identity.encoding`: one spelling for each bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standalone.identity.encoding import decode_base64url, encode_base64url


@given(st.binary())
def test_bytes_come_back(data: bytes) -> None:
    assert decode_base64url(encode_base64url(data)) == data


@given(st.text(max_size=12))
def test_any_text_has_bytes_that_are_spelled_so_or_is_refused(text: str) -> None:
    try:
        data = decode_base64url(text)
    except ValueError:
        return
    assert encode_base64url(data) == text


@pytest.mark.parametrize("text", ["QQ==", "Q", "QR", "+/+/", "Q Q", "QQ\n", "é"])
def test_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        decode_base64url(text)
