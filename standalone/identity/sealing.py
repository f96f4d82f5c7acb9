"""Values that go out to a browser and come back: sealed with a key, so that only the proxy can have made them. Pure.

Not encrypted: a browser may read what is about its own user. A key file has one key a line, the newest first: that one
seals, all of them open, so that a key can be changed while values sealed with the old one are still out.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Final

from standalone.identity.encoding import decode_base64url, encode_base64url

MAX_FILE_BYTES: Final = 64 << 10

_LEAST: Final = 32
"""Characters of a key: `openssl rand -base64 32` prints 44."""
MOST_SEALED: Final = 4096
"""Characters of a sealed value: what browsers take as a cookie."""

Keys = tuple[bytes, ...]


def parse_keys(text: str) -> Keys:
    """The keys of a file, the one that seals first. Raises `ValueError`, without saying a key."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    keys = [(number, line) for number, line in lines if line and not line.startswith("#")]
    for number, line in keys:
        if len(line) < _LEAST:
            raise ValueError(f"line {number}: a key of at least {_LEAST} characters was expected")
    if not keys:
        raise ValueError(f"a key of at least {_LEAST} characters was expected, one a line, the newest first")
    return tuple(line.encode() for _, line in keys)


def seal(purpose: str, value: Mapping[str, object], keys: Keys) -> str:
    """A value as visible ASCII; what is sealed for one purpose does not open for another."""
    payload = encode_base64url(json.dumps(value, separators=(",", ":")).encode())
    return f"{payload}.{encode_base64url(_tag(purpose, payload, keys[0]))}"


def unseal(purpose: str, sealed: str, keys: Keys) -> Mapping[str, object] | None:
    """The value, or None for anything that was not sealed so, with one of these keys."""
    payload, dot, tag = sealed.partition(".")
    if not dot or len(sealed) > MOST_SEALED or not sealed.isascii():
        return None
    if not any(hmac.compare_digest(encode_base64url(_tag(purpose, payload, key)), tag) for key in keys):
        return None
    value: object = json.loads(decode_base64url(payload))
    return value if isinstance(value, dict) else None


def _tag(purpose: str, payload: str, key: bytes) -> bytes:
    return hmac.digest(key, f"{purpose}\n{payload}".encode(), hashlib.sha256)
