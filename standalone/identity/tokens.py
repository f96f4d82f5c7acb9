"""Tokens that the proxy gives out itself: what one is, and the file that lists their hashes. Pure.

A token is 256 random bits, so nobody finds it by guessing, and one round of SHA-256 keeps it from whoever reads the
file; a slow hash is for what people choose. A line of the file, its words apart by spaces:

    ACCOUNT sha256:HEX [name=WORD] [expires=2027-01-31]

What follows a `#` at the start of a word is a remark.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from edge.identity import is_account

PREFIX: Final = "ipx_"
"""By which scanners of secrets, and people, know one."""

MAX_FILE_BYTES: Final = 4 << 20

_HASH: Final = "sha256:"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class TokenFileError(ValueError):
    """A file that lists no tokens; the text names the line and what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A token that is known, without the token."""

    account: str
    digest: bytes
    name: str = ""
    """Which of the account's tokens it is."""
    expires: datetime | None = None
    """From here on it is not good any more; None for ever."""

    def is_good(self, now: datetime) -> bool:
        """False once it has ended."""
        return self.expires is None or now < self.expires

    def line(self) -> str:
        """As it stands in the file."""
        words = [self.account, f"{_HASH}{self.digest.hex()}"]
        words += [f"name={self.name}"] if self.name else []
        words += [f"expires={_shown(self.expires)}"] if self.expires else []
        return " ".join(words)


def new_token() -> str:
    """A token that nobody has."""
    return f"{PREFIX}{secrets.token_urlsafe(32)}"


def digest_of(token: str) -> bytes:
    """What a file knows of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class Tokens:
    """The tokens of a file."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = {entry.digest: entry for entry in entries}

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, token: str, *, now: datetime) -> Entry | None:
        """The entry of a token that is good, or None.

        It is looked for by its hash: what the time of that tells is about hashes of guesses, not about tokens.
        """
        digest = digest_of(token)
        entry = self._entries.get(digest)
        return entry if entry and hmac.compare_digest(entry.digest, digest) and entry.is_good(now) else None

    def still_has(self, known: Entry, *, now: datetime) -> bool:
        """True while the token of an entry, of these or of earlier ones, is good for the same account."""
        entry = self._entries.get(known.digest)
        return entry is not None and entry.account == known.account and entry.is_good(now)


def parse_tokens(text: str) -> Tokens:
    """The tokens that a file lists. Raises `TokenFileError`."""
    lines: dict[bytes, int] = {}
    entries = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = _words(line)
        if not words:
            continue
        entry = _parse_entry(words, number)
        if entry.digest in lines:
            raise TokenFileError(f"line {number}: the same token as in line {lines[entry.digest]}")
        lines[entry.digest] = number
        entries.append(entry)
    return Tokens(entries)


def parse_expiry(text: str) -> datetime:
    """A day, which begins in UTC, or a time with its offset. Raises `ValueError`."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        if moment.isoformat() != f"{text}T00:00:00":
            raise ValueError("a time without its offset")
        moment = moment.replace(tzinfo=UTC)
    return moment


def _parse_entry(words: list[str], number: int) -> Entry:
    account, digest, *options = words if len(words) > 1 else (*words, "")
    if not is_account(account):
        raise TokenFileError(f"line {number}: an account was expected at its start: an e-mail address, or a name")
    if not (digest.startswith(_HASH) and _DIGEST.fullmatch(digest.removeprefix(_HASH))):
        # Never shown: somebody may have written the token itself there.
        raise TokenFileError(f"line {number}: the hash of a token was expected behind the account: sha256:…")
    given = _parse_options(options, number)
    return Entry(
        account=account.lower(),
        digest=bytes.fromhex(digest.removeprefix(_HASH)),
        name=given.get("name", ""),
        expires=_parse_end(given["expires"], number) if "expires" in given else None,
    )


def _parse_options(words: list[str], number: int) -> dict[str, str]:
    given: dict[str, str] = {}
    for word in words:
        option, _, value = word.partition("=")
        if option not in ("name", "expires") or option in given:
            raise TokenFileError(f"line {number}: name=… and expires=… were expected behind the hash, each once")
        given[option] = value
    if not is_name(given.get("name", "x")):
        raise TokenFileError(f"line {number}: name= takes up to 64 letters, digits or any of ._-")
    return given


def is_name(text: str) -> bool:
    """True for what may stand behind `name=`."""
    return _NAME.fullmatch(text) is not None


def _parse_end(text: str, number: int) -> datetime:
    try:
        return parse_expiry(text)
    except ValueError as exc:
        raise TokenFileError(f"line {number}: expires= takes a day, like 2027-01-31") from exc


def _words(line: str) -> list[str]:
    words = line.split()
    remark = next((index for index, word in enumerate(words) if word.startswith("#")), len(words))
    return words[:remark]


def _shown(moment: datetime) -> str:
    text = moment.astimezone(UTC).isoformat()
    return text.removesuffix("T00:00:00+00:00")
