"""Bytes as words that may stand in a URL, a header field or a cookie (RFC 4648 section 5, without padding)."""

import base64
import binascii


def encode_base64url(data: bytes) -> str:
    """Bytes as letters, digits, `-` and `_`."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decode_base64url(text: str) -> bytes:
    """The bytes. Raises `ValueError` for what is not their one spelling."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as exc:
        raise ValueError("not base64url") from exc
    if encode_base64url(data) != text:
        raise ValueError("not the one spelling of its bytes in base64url")
    return data
