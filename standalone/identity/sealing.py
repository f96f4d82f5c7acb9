"""Values that go out to a browser and come back: sealed with a key, so that only the proxy can read them or make them.

By AES-GCM (NIST SP 800-38D), with a random nonce each, and compressed, because there is little room in a cookie. The
first of the keys seals, all of them open.
"""

import hashlib
import json
import secrets
import zlib
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from standalone.identity.encoding import decode_base64url, encode_base64url
from standalone.identity.session_keys import Keys

MOST_SEALED: Final = 4000
"""Characters of a sealed value: browsers take a cookie of 4,096, with its name."""
_NONCE_BYTES: Final = 12


class TooLong(ValueError):
    """A value of which a browser would not take the cookie."""


def seal(purpose: str, value: Mapping[str, object], keys: Keys) -> str:
    """A value as visible ASCII; what is sealed for one purpose does not open for another. Raises `TooLong`."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    data = zlib.compress(json.dumps(value, separators=(",", ":")).encode())
    sealed = encode_base64url(nonce + _cipher(keys[0]).encrypt(nonce, data, purpose.encode()))
    if len(sealed) > MOST_SEALED:
        raise TooLong
    return sealed


def unseal(purpose: str, sealed: str, keys: Keys) -> Mapping[str, object] | None:
    """The value, or None for anything that was not sealed so, with one of these keys."""
    if len(sealed) > MOST_SEALED:
        return None
    try:
        raw = decode_base64url(sealed)
    except ValueError:
        return None
    for key in keys:
        with suppress(InvalidTag, ValueError):
            data = _cipher(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], purpose.encode())
            value: object = json.loads(zlib.decompress(data))
            return value if isinstance(value, dict) else None
    return None


@lru_cache(maxsize=16)
def _cipher(key: bytes) -> AESGCM:
    return AESGCM(hashlib.sha256(key).digest())
