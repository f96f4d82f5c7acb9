"""The keys that seal what goes out to browsers (`.sealing`). Pure.

A file has one a line, the newest first: that one seals, all of them open, so that a key can be changed while values
sealed with the old one are still out.
"""

from typing import Final

MAX_FILE_BYTES: Final = 64 << 10

_LEAST: Final = 32
"""Characters of a key: `openssl rand -base64 32` prints 44."""

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
